"""L2SNet: 2D localisation and 3D segmentation of lesions in PET/CT, and the fusion of both."""
