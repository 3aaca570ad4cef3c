"""`python -m aicd_backend` starts the server."""

import sys

from aicd_backend.server import main

if __name__ == "__main__":
    sys.exit(main())
