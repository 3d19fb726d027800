"""The process that records: rows, pictures and a shadow, away from the requests."""
