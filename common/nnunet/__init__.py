"""nnU-Net's plans, preprocessing and postprocessing, with NumPy and SciPy only."""
