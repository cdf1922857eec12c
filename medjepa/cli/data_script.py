"""Fetch a data set under the guide's flags: what `scripts/download_data.py` calls."""

import argparse
import sys
from collections.abc import Sequence

from medjepa.cli.main import fail
from medjepa.errors import MedJEPAError


def main(argv: Sequence[str] | None = None) -> int:
    """Run `medjepa data list` or `medjepa data download`; returns the exit status."""
    parser = argparse.ArgumentParser(
        description="Fetch a known data set by its owner's own route; without --dataset: list them."
    )
    parser.add_argument("--dataset", help="its name, as listed; or a YAML file of your own")
    parser.add_argument("--data_dir", default="data", help="the folder for all sets (data)")
    parser.add_argument(
        "--accept_licence", action="store_true", help="you have read the terms and agree to them"
    )
    given = parser.parse_args(sys.argv[1:] if argv is None else argv)
    from medjepa.cli.data import run

    try:
        if given.dataset is None:
            return run(["list"])
        agreed = [f"accept_licence={str(given.accept_licence).lower()}"]
        stem = given.dataset.rpartition("/")[2].partition(".")[0]
        return run(["download", given.dataset, f"dir={given.data_dir}/{stem}", *agreed])
    except MedJEPAError as error:
        return fail(str(error))
