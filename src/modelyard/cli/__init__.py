"""`modelyard ...`: a module for each group of commands; nothing heavy is imported until one runs."""

from modelyard.cli.main import main as main
