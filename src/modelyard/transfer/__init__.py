"""The imported network up to its last pooling: its features of digits, for networks that learn from those."""
