"""What a person says about objects: read from the command line, from files, from labels, and checked."""

from sam2_core.cli.prompts.mask_crop import MaskCrop
from sam2_core.cli.prompts.objects import FramePrompt, ObjectPrompts, require_inside
from sam2_core.cli.prompts.prompted import parse_prompts
from sam2_core.cli.prompts.stack_geometry import StackGeometry

__all__ = ["FramePrompt", "MaskCrop", "ObjectPrompts", "StackGeometry", "parse_prompts", "require_inside"]
