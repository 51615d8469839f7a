"""What the actions do. One module for each sort of action; the registry names the functions."""
