"""Compiled engines for GPUs, from a finished model folder and without torch or a GPU."""
