"""Models as functions over HTTP: loaded when they are first asked for, called in batches."""
