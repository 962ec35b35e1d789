"""No test uses the cache of whoever runs it, nor does a process that a test starts."""

import os

os.environ["INTERTWINE_CACHE"] = "off"
os.environ.pop("INTERTWINE_CACHE_SIZE", None)
