"""Decoding: the bytes of a PNG or JPEG become pixels, within limits."""
