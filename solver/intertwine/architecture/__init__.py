"""Networks without their weights: irreps of a layer, its maps, products and gates, and the shapes
of networks. It needs no library but NumPy and SciPy.

The maps are pure functions of weights and vectors, which may be arrays of NumPy, JAX or PyTorch, so
that `intertwine.nn` and `intertwine.torch` share all mathematics.
"""

__all__: list[str] = []
