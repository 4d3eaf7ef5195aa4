"""Simulated cells and optics with known truth."""
