"""The machine around the camera: what triggers an inspection and what acts on its verdict."""
