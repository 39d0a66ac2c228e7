"""The napari front-end: views, keys and layers over an annotation session.

Nothing here imports torch: the dock opens at once, and the model is loaded where it works, in the session's worker.
"""
