"""The commands of `intertwine`: `add_to` describes one, `run` runs it."""
