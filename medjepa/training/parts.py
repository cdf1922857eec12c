"""Which images a run learns from, which make a validation loss, which it leaves alone."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from medjepa.config import Config
from medjepa.data.labels import labelled
from medjepa.data.private_map import PRIVATE
from medjepa.data.splits import check_no_group_crosses, grouped_stratified_split
from medjepa.data.store import Store
from medjepa.data.tables import read_table, split_column
from medjepa.data.volume_store import VolumeStore
from medjepa.errors import DataError
from medjepa.utils.logging import get_logger

TRAIN_NAMES = ("train", "training", "tr", "development", "dev", "")
VALIDATION_NAMES = ("val", "valid", "validation", "tune")
HELD_OUT = "held out"
_logger = get_logger(__name__)


def parts_of(store: Store | VolumeStore, config: Config) -> np.ndarray:
    """Name the part of each item: train, val, or whatever else the table's split column says.

    With `data.held_out` its values are held out, and all others are train (or val, by name).

    Raises:
        DataError: there is no such column, no row has a value of `data.held_out`, or a patient is
            in two parts.
    """
    everything = np.full(len(store), "train", dtype=object)
    if config.data.use_all:
        return everything
    column = config.data.split_column or _split_column(store, config.data.table)
    if column is None:
        return everything
    given = labelled(store, column, split=column, table=config.data.table)
    held_out = config.data.held_out
    if missing := set(held_out) - set(given.labels):
        raise DataError(
            f"data.held_out: no row has {sorted(missing)[0]!r} in column {column!r}; there are "
            f"{', '.join(given.class_names)}"
        )
    parts = np.full(len(store), "unmarked", dtype=object)
    parts[given.indices] = [_part(name, held_out) for name in given.labels]
    return parts


def has_split(store: Store | VolumeStore, config: Config) -> bool:
    """Tell whether a column of the table says which items are for training."""
    return bool(config.data.split_column or _split_column(store, config.data.table))


def train_and_val(
    parts: np.ndarray, groups: Sequence[str], config: Config
) -> tuple[np.ndarray, np.ndarray]:
    """Which of n items are trained on, and which make the validation loss: bool (n,) each.

    `groups` names the patient of each; `data.val_fraction` of those that train are kept where no
    item is marked for validation.

    Raises:
        DataError: no item is marked for training.
    """
    train, val = parts == "train", parts == "val"
    if config.data.val_fraction and not val.any():
        train, val = _hold_out(groups, train, config)
    if not train.any():
        raise DataError(
            "data: no image is marked for training in the table's split column; "
            "name another with data.split_column, or set data.use_all=true"
        )
    return train, val


def log_parts(noun: str, parts: np.ndarray, num_train: int, num_val: int) -> None:
    """Say how many items are used, and which are not."""
    left_out = ", ".join(
        f"{count} {name}"
        for name, count in Counter(parts.tolist()).items()
        if name not in ("train", "val")
    )
    _logger.info(
        "training on %d %s%s%s",
        num_train,
        noun,
        f", validation loss on {num_val}" if num_val else "",
        f"; not used: {left_out} (data.use_all=true would)" if left_out else "",
    )


def _part(name: str, held_out: Sequence[str]) -> str:
    lowered = name.strip().lower()
    if name in held_out:
        return HELD_OUT
    if lowered in VALIDATION_NAMES:
        return "val"
    return "train" if held_out or lowered in TRAIN_NAMES else name


def _split_column(store: Store | VolumeStore, table: str | None) -> str | None:
    """Return the column of a given split in the asked table or the store's copies, if any."""
    if table is not None:
        return split_column(read_table(table, check=False).columns)
    try:
        copies = [copy for _, _, copy in store.private_map().tables]
    except DataError:
        _logger.info(
            "%s came without its private folder: no split is known, all images are used", store.path
        )
        return None
    for copy in copies:
        if name := split_column(read_table(store.path / PRIVATE / copy, check=False).columns):
            return name
    return None


def _hold_out(
    groups: Sequence[str], train: np.ndarray, config: Config
) -> tuple[np.ndarray, np.ndarray]:
    """Keep a share of the patients for a validation loss."""
    chosen = np.flatnonzero(train).tolist()
    share = config.data.val_fraction
    fit, held = grouped_stratified_split(
        ["image"] * len(chosen), [groups[i] for i in chosen], [1 - share, share], config.seed
    )
    check_no_group_crosses(
        [groups[chosen[i]] for i in (*fit, *held)], ["train"] * len(fit) + ["val"] * len(held)
    )
    val = np.zeros_like(train)
    val[np.asarray(chosen)[held]] = True
    return train & ~val, val
