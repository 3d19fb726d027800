"""Experiment tracking for TensorFlow image models, from data to a served version."""
