"""The page at /: routes.py serves what a browser loads."""
