"""Pixels on disk to and from arrays."""
