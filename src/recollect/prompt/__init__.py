"""The prompt room: what a model is shown, as token segments and who sees whom. Numpy only."""
