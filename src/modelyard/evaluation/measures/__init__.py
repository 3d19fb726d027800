"""Measures of answers and their intervals: against labels, between classifiers, and against a source."""
