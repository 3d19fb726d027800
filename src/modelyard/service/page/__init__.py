"""The page at /: routes.py serves its files to browsers."""
