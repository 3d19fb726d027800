"""What the service records, outside the path of requests: answers, labels, and a shadow's answers."""
