"""What is done with registered versions: set side by side, promoted, checked, repaired and removed."""
