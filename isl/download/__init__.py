"""The published data and checkpoints, fetched from their public bucket."""
