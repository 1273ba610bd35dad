"""edgevision: cameras in, durable typed events out."""

__version__ = "0.1.0"
