"""Models: the versions in memory, which follow the registry, and their copies on this machine."""
