"""Where a network trains: on one device, on all GPUs of this machine, or on several machines."""
