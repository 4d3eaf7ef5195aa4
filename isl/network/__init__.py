"""The network: table, layers, losses, statistics, model folder."""
