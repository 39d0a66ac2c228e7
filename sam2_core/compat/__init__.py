"""Let code written for the official package ``sam2`` run on this one, unchanged.

>>> from sam2_core import compat
>>> compat.install()
>>> from sam2.build_sam import build_sam2  # this project's

Or for a whole program: ``python -m sam2_core.compat script.py arguments``.
"""

from sam2_core.compat.alias import install, is_installed, uninstall
from sam2_core.compat.names import OFFICIAL_MODULES
from sam2_core.training.official_names import TRAINING_MODULES

__all__ = ["OFFICIAL_MODULES", "TRAINING_MODULES", "install", "is_installed", "uninstall"]
