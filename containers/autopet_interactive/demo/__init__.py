"""The demo checkpoint, a small network trained on phantoms, and its training."""
