"""Two small networks trained on phantoms, in place of real checkpoints."""
