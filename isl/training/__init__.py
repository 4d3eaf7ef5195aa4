"""Crops, augmentation, presets, trainer, monitoring."""
