"""A run: a tuned model with all that its prompts are made of, its folder, and its answers for rows of a log."""
