"""Studies: grids of runs and of ways to show them, answered on the same rows and compared in pairs."""
