"""Encoding of contexts and offers as columns of numbers, the input of every model."""
