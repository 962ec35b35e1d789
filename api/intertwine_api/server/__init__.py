"""The HTTP service: the application, its routes, access and limits, event streams, inference."""
