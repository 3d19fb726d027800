"""Datasets that are a folder of pictures for each class."""
