"""Labels that people gave to answers: written, found again, and collected as pictures to learn from."""
