"""What is done with recorded answers: a report, labels for them, pictures to train on, and an end to them."""
