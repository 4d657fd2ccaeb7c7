"""GEPNet's demo checkpoint and how it is trained."""
