"""Pictures of one digit, made into what MNIST holds: a file for each fit, and how a digit is found."""
