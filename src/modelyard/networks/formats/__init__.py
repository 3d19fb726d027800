"""One file a format: how it is checked, opened, asked and converted."""
