"""Training: the generator of drawn microscopy, losses, prompts and the one trainer."""
