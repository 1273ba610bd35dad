"""The on-device daemon: assembly and supervision of the stages."""
