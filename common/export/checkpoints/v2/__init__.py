"""What nnU-Net v2 leaves: `plans.json`, `dataset.json`, `checkpoint_final.pth`."""
