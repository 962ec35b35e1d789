"""The commands of `intertwine`, each in the module of its name."""
