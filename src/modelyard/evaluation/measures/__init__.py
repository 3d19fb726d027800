"""Measures of answers, with their intervals: by labels, of two classifiers together, and beside a source."""
