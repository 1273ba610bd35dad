"""Pixels of pictures and of decoded video: what sources give and golden items are made of."""
