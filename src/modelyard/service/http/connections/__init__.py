"""Connections of clients: their limits and deadlines, how they are accepted, and how the last ones end."""
