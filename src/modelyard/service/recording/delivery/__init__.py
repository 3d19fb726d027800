"""The way of answers from the service to the process that records them."""
