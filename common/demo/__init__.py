"""Synthetic patients and the training of the demo networks; not part of the container images."""
