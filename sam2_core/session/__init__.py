"""What a person works in: objects, prompts, masks, their history, and the folder that keeps them. No GUI toolkit."""
