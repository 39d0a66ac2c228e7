"""Predictors: one image, one stack, everything in a picture; and what they share.

Its public names load through :mod:`sam2_core`, so that importing one predictor does not import the others.
"""
