"""Importing: a network from elsewhere with its labels, verified and kept."""
