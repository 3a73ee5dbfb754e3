"""Classify: a label, or several, for a whole sequence."""
