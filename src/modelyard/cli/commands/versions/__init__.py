"""Commands on registered versions: compare, promote, check, repair and remove them."""
