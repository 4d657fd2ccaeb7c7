"""A small network trained on phantoms, in place of a real checkpoint."""
