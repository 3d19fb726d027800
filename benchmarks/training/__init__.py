"""Training measured beside the textbook script, in one run: `python -m benchmarks.training --help`."""
