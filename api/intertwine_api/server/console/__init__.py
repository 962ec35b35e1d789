"""The console: the service's pages for people, rendered from templates."""
