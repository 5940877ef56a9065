"""Kernels of our own for processors with AMX tiles: branches behind a trunk, and attention of packed trees."""
