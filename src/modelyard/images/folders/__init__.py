"""Folders: a dataset that is a folder of pictures for each class."""
