"""From detections to occurrences: tracking and analyses."""
