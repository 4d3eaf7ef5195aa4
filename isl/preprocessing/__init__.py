"""From raw microscope tiles to normalised wells."""
