"""The two programs in an exported folder; they import nothing of bench, only NumPy, ONNX Runtime and Pillow."""
