"""Grids of training runs on equal terms, and the search for settings."""
