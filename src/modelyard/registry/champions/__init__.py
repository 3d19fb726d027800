"""Champions: the gate, the decision, and the history of both."""
