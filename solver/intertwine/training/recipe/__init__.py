"""A training as a recipe: a description in, a trained and measured model out.

Description → data → network → fit → measurements. `config` reads a recipe from a TOML file,
`description` has its fields, `run` carries it out.
"""
