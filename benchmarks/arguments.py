"""What the command lines of the benchmarks have in common."""

import argparse


def count(text: str) -> int:
    """Read a number of 1 or more, as argparse's `type`.

    Raises:
        argparse.ArgumentTypeError: it is less.
    """
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {number}")
    return number
