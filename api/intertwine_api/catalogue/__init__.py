"""A catalogue of bases: a folder of static files that any web server can publish."""
