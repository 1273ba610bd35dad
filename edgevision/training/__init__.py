"""Training; never imported by the runtime."""
