"""These tests compile with few optimizations."""

from helpers.compilation_fixtures import (
    compiled_programs_are_freed,
    compiled_with_few_optimizations,
    programs,
)

__all__ = ["compiled_programs_are_freed", "compiled_with_few_optimizations", "programs"]
