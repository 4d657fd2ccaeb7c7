"""GEPNet's demo checkpoint and its training."""
