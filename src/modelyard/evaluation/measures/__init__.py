"""Measures of answers, with their intervals: against labels, between two classifiers, and against a source."""
