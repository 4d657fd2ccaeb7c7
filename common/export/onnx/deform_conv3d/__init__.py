"""3D deformable convolution: the operator `petct::deform_conv3d` and its implementations.

`reference` is plain torch; `onnx_node` exports it as one ONNX node. `lowering` replaces the node by standard
operators, with `gather` or `grid_sample`, or, with `columns`, by a kernel's node and a matrix product;
`raising` puts the node back.
"""
