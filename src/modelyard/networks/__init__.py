"""Networks: built from params or imported, converted to LiteRT, and cut at their features."""
