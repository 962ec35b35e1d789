"""These tests compile in haste."""

from helpers.hasty_compilation import compiled_programs_are_let_go, hastily_compiled, programs

__all__ = ["compiled_programs_are_let_go", "hastily_compiled", "programs"]
