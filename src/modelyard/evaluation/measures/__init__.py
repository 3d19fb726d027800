"""Measures of answers, with intervals: against labels, between two classifiers, and against a source."""
