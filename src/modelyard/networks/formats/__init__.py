"""One file for each format: how it is checked, opened, run and converted."""
