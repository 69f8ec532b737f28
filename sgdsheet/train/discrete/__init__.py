"""Searching: whole numbers, losses without a gradient, and populations of points."""
