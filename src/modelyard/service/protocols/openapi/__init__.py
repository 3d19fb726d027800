"""The OpenAPI document, and the schemas of each protocol in it."""
