"""Sweeps: many trainings with other parameters, in search of the best validation accuracy."""
