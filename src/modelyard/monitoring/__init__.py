"""Live answers: the tables that record them, and reports on how well versions do."""
