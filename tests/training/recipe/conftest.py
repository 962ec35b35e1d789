"""These tests compile in haste."""

from helpers.hasty_compilation import hastily_compiled

__all__ = ["hastily_compiled"]
