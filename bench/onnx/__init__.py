"""ONNX files and the sessions that run them: for frozen backbones, and for exported models."""
