"""Labelled pictures: one form for all formats, checks, splits and fingerprints."""
