"""A trained model as ONNX files that describe themselves, and prediction with them without torch."""
