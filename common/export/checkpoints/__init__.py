"""Training checkpoints of both nnU-Net generations, read without running anything in them."""
