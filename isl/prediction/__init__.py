"""One image through the network in bounded memory."""
