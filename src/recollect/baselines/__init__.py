"""Baselines: what any model must beat before it has shown something. Knows no model and no torch."""
