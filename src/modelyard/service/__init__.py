"""Answers over HTTP, from versions of the registry; nothing here imports TensorFlow or pandas."""
