"""Gradient rules as values."""
