"""Answers from a bundle, with NumPy, Pillow and LiteRT alone; this folder travels inside every version."""
