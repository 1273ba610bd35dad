"""From frames to detections."""
