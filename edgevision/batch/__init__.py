"""Folders of pictures in, results out."""
