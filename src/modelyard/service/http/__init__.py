"""HTTP: connections, limits, the access log and metrics, before and after every request."""
