"""Procedurally drawn microscopy: images, z-stacks and time-lapses with known truth."""

from sam2_core.training.generator.drawing import DrawnStack, draw_stack
from sam2_core.training.generator.motion import random_motion
from sam2_core.training.generator.nuclei import medium_nuclei, random_nuclei
from sam2_core.training.generator.samples import SAMPLES, Sample, draw_sample
from sam2_core.training.generator.shapes import DrawnLabels, Outline, draw_labels
from sam2_core.training.generator.stacks import Population, StackKind, random_population
from sam2_core.training.generator.textures import LOOKS, Appearance, random_appearance
from sam2_core.training.generator.tissue import random_tissue

__all__ = [
    "LOOKS",
    "SAMPLES",
    "Appearance",
    "DrawnLabels",
    "DrawnStack",
    "Outline",
    "Population",
    "Sample",
    "StackKind",
    "draw_labels",
    "draw_sample",
    "draw_stack",
    "medium_nuclei",
    "random_appearance",
    "random_motion",
    "random_nuclei",
    "random_population",
    "random_tissue",
]
