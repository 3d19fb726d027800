"""`modelyard ...`: a module for each command; nothing heavy is imported until one runs."""

from modelyard.cli.main import main as main
