"""A module for each command, named after it."""
