"""The documentation at /docs."""
