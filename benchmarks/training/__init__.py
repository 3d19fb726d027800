"""Training measured beside a textbook script, in one run: `python -m benchmarks.training --help`."""
