"""The MLflow UI, opened where runs are compared."""
