"""Saved models: their format, and the folders that hold them.

Nothing here imports a framework. `intertwine.nn.saving` and `intertwine.torch.saving` add their
classes of layers and of arrays. Both write the same format, so each loads the other's files.
"""

__all__: list[str] = []
