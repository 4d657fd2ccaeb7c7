"""What nnU-Net v1, and nnFormer in its form, leaves: `plans.pkl`, `model_final_checkpoint.model`."""
