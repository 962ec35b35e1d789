"""Shared code of the tests: examples, laws, oracles, and running services and databases."""
