"""Figures: each file measures one thing, prints what it found, and says how to run it."""
