"""Which files leak between training and test: a list for the owner, never for the report."""

import json
from collections.abc import Sequence

from medjepa.data.private_map import write_private
from medjepa.data.store import Store
from medjepa.data.volume_store import VolumeStore
from medjepa.errors import DataError

LEAKS = "leaks.json"
"""In a store's private folder: what shows one picture in (pre-)training and in the test."""


def write_leak_list(
    stores: Sequence[Store] | Sequence[VolumeStore],
    keys: Sequence[str],
    pairs: Sequence[tuple[int, int]],
    pretraining: Sequence[tuple[str, int]] = (),
) -> None:
    """Write the pairs (training, test) as paths below their sources, for its owner alone.

    `pretraining` are pairs (content hash of an image of pre-training, test image).

    `keys` are the content hashes of the images' files. A store without its private folder knows no
    paths: nothing is written there.
    """
    if not pairs and not pretraining:
        return
    paths: dict[str, str] = {}
    writable = []
    for store in stores:
        try:
            private = store.private_map()
        except DataError:
            continue
        writable.append(store)
        paths |= {record.key: record.path for record in private.files if record.key}
    content = [{"train": paths.get(keys[i], ""), "test": paths.get(keys[j], "")} for i, j in pairs]
    content += [{"pretraining": key, "test": paths.get(keys[j], "")} for key, j in pretraining]
    for store in writable:
        write_private(store.path, LEAKS, json.dumps(content, indent=1).encode())
