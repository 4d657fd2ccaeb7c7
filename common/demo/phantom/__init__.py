"""Synthetic whole-body PET/CT cases."""
