"""These tests compile with few optimizations."""

from helpers.compilation_fixtures import compiled_with_few_optimizations

__all__ = ["compiled_with_few_optimizations"]
