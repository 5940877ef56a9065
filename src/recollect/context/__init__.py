"""What a model is shown of the past, and why. No torch."""
