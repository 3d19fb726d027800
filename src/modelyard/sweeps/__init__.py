"""Sweeps: Optuna searches for the parameters with the best validation accuracy."""
