"""The commands of `intertwine`, one a module: `add_to` describes it, `run` does it."""
