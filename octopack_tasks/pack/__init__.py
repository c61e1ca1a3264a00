"""Packs of problems: building, checking and writing your own."""
