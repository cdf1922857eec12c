"""A look at every label map before training: does it lie on its image, and what is in it?

What was seen is kept beside the study, so that going on does not read a thousand volumes again.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from medjepa.data.label_maps import LabelMaps
from medjepa.data.private_map import PRIVATE, write_private

FILE = "label_values.json"


@dataclass(frozen=True)
class LabelsSeen:
    """What all label maps hold.

    Attributes:
        of: which files these were, by place, size and time.
        values: the labels above 0 that occur, ascending.
    """

    of: str
    values: tuple[int, ...]

    def save(self, out: Path) -> None:
        """Keep it in the private folder of a study."""
        write_private(out, FILE, json.dumps(asdict(self)).encode())


def look_at_labels(
    maps: Sequence[LabelMaps],
    out: Path,
    *,
    progress: Callable[..., AbstractContextManager[Callable[..., object]]],
) -> LabelsSeen:
    """Read every label map, unless a study in `out` has seen the same files before.

    Raises:
        InputError: a file cannot be read, or does not lie on its image; it is named.
    """
    of = _fingerprint(maps)
    try:
        kept = json.loads((out / PRIVATE / FILE).read_bytes())
        if kept["of"] == of:
            return LabelsSeen(of, tuple(kept["values"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass  # none is kept, or it is damaged: looking again does no harm
    values: set[int] = set()
    with progress("look at label maps", sum(len(own) for own in maps)) as advance:
        for own in maps:
            for index in own.indices:
                labels = own.read(index)
                if own.regions is None:
                    values |= set(np.flatnonzero(np.bincount(labels.ravel())).tolist())
                advance(1)
    return LabelsSeen(of, tuple(sorted(values - {0})))


def _fingerprint(maps: Sequence[LabelMaps]) -> str:
    seen = []
    for own in maps:
        for index in own.indices:
            path = own.path(index)
            status = path.stat()
            key = own.store.keys[index]
            seen.append([key, str(path), status.st_size, status.st_mtime_ns])
        seen.append([str(own.regions)])
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()
