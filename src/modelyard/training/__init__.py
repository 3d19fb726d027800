"""The Keras networks and how they are fitted."""
