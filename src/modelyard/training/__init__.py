"""Training: how Keras networks are fitted."""
