"""``python -m intertwine_api`` is the program `intertwine`."""

import sys

from intertwine_api.cli.program import main

if __name__ == "__main__":
    sys.exit(main())
