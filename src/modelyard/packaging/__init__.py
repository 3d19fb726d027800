"""A network becomes a bundle, once it has proved that it answers as its source does."""
