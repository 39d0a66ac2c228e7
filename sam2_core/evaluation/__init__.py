"""How good masks are: the measures of video segmentation, of instances, of clicks and of cell tracking."""
