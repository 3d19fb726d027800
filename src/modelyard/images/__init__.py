"""MNIST: from raw files to arrays, split in three."""
