"""Answers to many pictures, written to one file."""
