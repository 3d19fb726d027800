"""Bytes from a url, an archive or a package registry: verified, resumed, written whole or not at all."""
