"""What a training step is given: shuffled batches of augmented pictures."""
