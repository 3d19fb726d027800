"""Ids of answers: which were given, and for what."""
