"""`python -m medjepa` is the command `medjepa`."""

import sys

from medjepa.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
