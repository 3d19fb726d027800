"""Comparison: two versions side by side, as data, as a table and as a page."""
