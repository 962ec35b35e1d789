"""The addresses of the service, one module a kind of thing."""
