"""MLflow runs: the store, what a run says, where it comes from."""
