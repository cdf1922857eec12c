"""A command of `medjepa`, as the benchmarks run it."""

import os
import subprocess
import sys


def medjepa(*arguments: str) -> None:
    """Run a command; its failure ends this one."""
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
    command = [sys.executable, "-m", "medjepa", *arguments]
    subprocess.run(command, check=True, env=environment)  # noqa: S603 - our own command
