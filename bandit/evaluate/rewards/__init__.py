"""Reward models for the direct and doubly robust estimators."""
