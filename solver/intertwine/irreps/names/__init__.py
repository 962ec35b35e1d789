"""Names of irreps that people know: a scheme for each kind of group."""
