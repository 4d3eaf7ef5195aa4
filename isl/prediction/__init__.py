"""Images in, label images out: tiles and the loop over them."""
