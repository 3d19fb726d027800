"""Publishing: a measured bundle becomes a version with its card, tags and metrics."""
