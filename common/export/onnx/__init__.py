"""Networks as ONNX files, written and compared with torch."""
