"""What a bundle is worth, measured as it will be served."""
