"""L2SNet's demo checkpoint, two small networks trained on phantoms, and its training."""
