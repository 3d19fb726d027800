"""What the service keeps of its answers, beside the way of the requests: rows, labels, a shadow's answers."""
