"""Contexts and offers as columns of numbers, the input of every model."""
