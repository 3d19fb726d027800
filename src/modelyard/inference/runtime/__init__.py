"""A LiteRT model at work: interpreters, their pool, and the first load in a process of its own."""
