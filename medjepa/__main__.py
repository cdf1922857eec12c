"""`python -m medjepa` is the command `medjepa`."""

import sys


def run() -> int:
    """Run the command; Ctrl-C is no error even while it is still being imported."""
    try:
        from medjepa.cli.main import main
    except KeyboardInterrupt:
        return 130
    return main()


if __name__ == "__main__":
    sys.exit(run())
