"""Tuning in context: a split and a recipe become a run."""
