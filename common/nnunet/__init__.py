"""nnU-Net's recipe with NumPy and SciPy alone: plans, preprocessing and its inverse."""
