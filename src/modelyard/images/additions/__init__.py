"""Pictures that are added to a dataset."""
