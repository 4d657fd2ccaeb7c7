"""Engines, and prediction of a whole image on one."""
