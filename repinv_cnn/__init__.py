"""Convolutional networks as encoders: the one package here that imports torch."""
