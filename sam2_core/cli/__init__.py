"""The ``sam2`` command."""
