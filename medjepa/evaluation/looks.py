"""How often a test set has been looked at from a run: every look that leads to a choice uses it up.

Counted in the run folder, by a digest of the test images' content keys, so that the file names no
image and no patient, and the same images count as the same set wherever they lie.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from medjepa.data.files import write_atomic
from medjepa.data.lock import locked
from medjepa.errors import DataError
from medjepa.evaluation.results import Check

LOOKS = "test_looks.json"


def count_look(folders: Iterable[Path], keys: Iterable[str]) -> Check:
    """Count one more look at a test set in each run folder, and say how many there were.

    Args:
        folders: of the runs that are judged; of several, the largest count is told.
        keys: content hashes of the test images, in any order; copies count once.

    Raises:
        DataError: a count that exists cannot be read.
    """
    test_set = digest(keys)
    counts, unwritten = [], False
    for folder in folders:
        try:
            with locked(folder / f".{LOOKS}.lock"):
                count = read_looks(folder).get(test_set, 0) + 1
                _write(folder, test_set, count)
        except (DataError, OSError) as error:
            if isinstance(error, DataError) and not isinstance(error.__cause__, OSError):
                raise
            count, unwritten = read_looks(folder).get(test_set, 0) + 1, True
        counts.append(count)
    most = max(counts, default=1)
    if unwritten:
        before = f"{most - 1} counted before"
        return Check(
            passed=None,
            text="This look at the test set could not be counted, as the run folder cannot be "
            f"written to ({before}).",
        )
    if most == 1:
        text = "This test set is looked at for the first time from this run."
        return Check(passed=True, text=text)
    return Check(
        passed=None,
        text=f"This test set has been looked at {most} times from this run: if settings were "
        "chosen after a look, its numbers are too good; choose on a part of the training instead.",
    )


def digest(keys: Iterable[str]) -> str:
    """SHA-256 of the different keys in their order."""
    return hashlib.sha256("\n".join(sorted(set(keys))).encode()).hexdigest()


def read_looks(folder: Path) -> dict[str, int]:
    """Digest of a test set -> how often it was looked at.

    Raises:
        DataError: the file is damaged.
    """
    path = folder / LOOKS
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_bytes())
        return {str(key): int(count) for key, count in content["test_sets"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: cannot be read ({error}); it counts how often test sets were looked at: "
            "delete it only if you can say so"
        ) from error


def _write(folder: Path, test_set: str, count: int) -> None:
    content = {"test_sets": {**read_looks(folder), test_set: count}}
    write_atomic(folder / LOOKS, (json.dumps(content, indent=1) + "\n").encode())
