"""L2SNet: localisation in slices, segmentation in volume, and the fusion of the two."""
