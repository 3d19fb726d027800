"""Labelled pictures from any source: obtained, split in three, and fitted for a network."""
