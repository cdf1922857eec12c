"""Several label columns of one table: an image counts if it has a value in any of them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medjepa.data.labels import LabelledSet, labelled
from medjepa.data.store import Store
from medjepa.data.volume_store import VolumeStore


def labelled_by_any(
    store: Store | VolumeStore,
    columns: Sequence[str],
    *,
    group: str | Sequence[str] | None,
    split: str | None,
    table: str | Path | None,
) -> LabelledSet:
    """Join a store with several columns of its table; cells of a column are "" where it says none.

    An image whose copies contradict each other in one column has no value there.

    Args:
        store: prepared images.
        columns: of the table.
        group: column of patients, or several together; None takes what the store knows.
        split: column of a given split; None takes "split" if there is one; "auto" takes none.
        table: a CSV with these columns, if it does not lie beside the images.

    Raises:
        DataError: a column is missing, nothing matches, or a group lies in two parts of the split.
    """
    sets = [labelled(store, name, group=group, split=split, table=table) for name in columns]
    if len(sets) == 1:
        return sets[0]
    # Index of an image -> (set, place in it), the first set that knows it.
    first: dict[int, tuple[LabelledSet, int]] = {}
    for one in sets:
        for place, index in enumerate(one.indices):
            first.setdefault(int(index), (one, place))
    order = sorted(first)
    rows = [first[index] for index in order]
    cells = {
        name: [one.cells[name][place] if name in one.cells else "" for one, place in rows]
        for name in dict.fromkeys(name for one in sets for name in one.cells)
    }
    for name, own in zip(columns, sets, strict=True):
        said = dict(zip((int(i) for i in own.indices), own.labels, strict=True))
        cells[name] = [said.get(index, "") for index in order]
    groups = parts = None
    if any(one.groups is not None for one in sets):
        keys = store.keys
        groups = [
            str(keys[index]) if one.groups is None else one.groups[place]
            for index, (one, place) in zip(order, rows, strict=True)
        ]
    if all(one.split is not None for one in sets):
        parts = [(one.split or [])[place] for one, place in rows]
    return LabelledSet(
        indices=np.asarray(order, np.int64),
        labels=["" for _ in order],
        class_names=[""],
        groups=groups,
        split=parts,
        notes=list(dict.fromkeys(note for one in sets for note in one.notes)),
        cells=cells,
        num_in_both=max(one.num_in_both for one in sets),
    )
