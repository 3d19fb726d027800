"""Models: the versions in memory, which follow the registry and are copied to this machine."""
