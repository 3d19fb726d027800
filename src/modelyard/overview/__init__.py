"""What the Makefile says of the work: the experiments so far, and what a run has made."""
