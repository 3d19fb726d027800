"""Labelled pictures, whatever they came from: obtained, split in three, and fitted for a network."""
