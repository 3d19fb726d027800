"""MLflow versions: published, found again, named by aliases, fetched."""
