"""Reports on live answers: computed, put into words, drawn as a page, and logged as MLflow runs."""
