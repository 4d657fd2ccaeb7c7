"""Masks against truths; not in images."""
