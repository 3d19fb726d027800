"""How stages run, and how the values they run with are kept."""
