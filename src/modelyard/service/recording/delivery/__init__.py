"""How answers get from the service to the process that records them."""
