"""What a record of the answers costs, in one run on one machine: `python -m benchmarks.recording --help`."""
