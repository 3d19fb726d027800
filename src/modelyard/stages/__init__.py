"""How stages run, and how the values in params.yaml are kept."""
