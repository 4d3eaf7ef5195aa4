"""What is in a folder, file or plate, and what is wrong with it."""
