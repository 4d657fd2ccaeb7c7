"""The size and the intensities of a clinical case: a whole-body PET/CT."""

import numpy as np

SHAPE = (326, 400, 400)
"""(z, y, x), in voxels of `SPACING`."""
SPACING = (3.0, 2.04, 2.04)
INTENSITIES = [np.linspace(-500, 1000, 100, dtype=np.float32), np.linspace(0.1, 20, 100, dtype=np.float32)]
"""HU of a CT and SUV of a PET."""
