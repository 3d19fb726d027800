"""One file for each group of conf/, with the range of every value."""
