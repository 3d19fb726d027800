"""Protocols: how requests are read and answers are written, for images."""
