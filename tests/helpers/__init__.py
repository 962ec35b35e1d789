"""What tests share: examples, laws, oracles, and services and databases to ask."""
