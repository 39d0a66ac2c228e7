"""The built-in features, each a plugin registered through the same hooks as anybody's."""
