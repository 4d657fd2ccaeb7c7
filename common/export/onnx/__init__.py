"""Export of networks to ONNX, with a comparison against torch."""
