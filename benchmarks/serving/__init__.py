"""Serving measured beside other servers, in one run on one machine: `python -m benchmarks.serving --help`."""
