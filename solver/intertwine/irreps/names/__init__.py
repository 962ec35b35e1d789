"""The usual names of irreps: a scheme for each kind of group."""
