"""3D deformable convolution: one operator, `petct::deform_conv3d`, and its carriers.

`reference` is plain torch; `onnx_node` makes it one node of an ONNX file; `lowering` turns the node into
standard operators by `gather` or `grid_sample`. A kernel for another device joins them here.
"""
