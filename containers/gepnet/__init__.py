"""GEPNet: lesions in PET, by a network with 3D deformable convolutions."""
