"""A guard before MLflow's scoring server."""
