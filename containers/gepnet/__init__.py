"""GEPNet: lesion segmentation in PET with 3D deformable convolutions."""
