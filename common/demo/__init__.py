"""Synthetic patients and the training of demo networks; not in images."""
