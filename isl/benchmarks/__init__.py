"""How fast the network predicts and trains, and how fast it could."""
