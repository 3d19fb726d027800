"""Datasets that are four IDX files."""
