"""Any nnU-Net v2 network of one configuration."""
