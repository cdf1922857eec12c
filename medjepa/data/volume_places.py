"""Which items of 3-D stores a dataset of one kind takes, and whether they go together."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from medjepa.data.crop_places import Triple
from medjepa.data.ingest import CANONICAL_ORIENTATION
from medjepa.data.volume_pipeline import VolumeKind, takes_channels
from medjepa.data.volume_store import VolumeItem, VolumeStore
from medjepa.errors import DataError

_logger = logging.getLogger(__name__)
_ALIKE = ("spacing", "frame_size", "contrasts", "fourth_axis")


@dataclass(frozen=True, slots=True)
class ItemPlace:
    """One volume or clip.

    Attributes:
        store: the number of its store.
        index: its number there.
        plane: of a stack through time, the number of its slice; None for all others.
        shape: (z, y, x) or (t, y, x).
        spacing: likewise, mm or s; None unknown.
        times: of the frames of a clip in s, where they lie unevenly.
    """

    store: int
    index: int
    plane: int | None
    shape: Triple
    spacing: tuple[float | None, float | None, float | None]
    times: tuple[float, ...] | None = None


def find_places(stores: Sequence[VolumeStore], kind: VolumeKind) -> tuple[ItemPlace, ...]:
    """All items of a kind, store after store; a stack through time is a clip for each slice.

    Raises:
        DataError: there is none.
    """
    places: list[ItemPlace] = []
    others = 0
    for number, store in enumerate(stores):
        for index, item in enumerate(store.items):
            found = _places(number, index, item, kind)
            places += found
            others += not found
    wanted, other = ("volumes", "clips") if kind == "volume" else ("clips", "volumes")
    if not places:
        raise DataError(
            f"{stores[0].path}: holds {others} {other} and no {wanted}; "
            f"model.kind={'clip' if kind == 'volume' else 'volume'} takes them (a checkpoint keeps "
            "the kind it was trained on)"
        )
    if others:
        _logger.info("%d %s left out (model.kind=%s)", others, other, kind)
    return tuple(places)


def _places(store: int, index: int, item: VolumeItem, kind: VolumeKind) -> list[ItemPlace]:
    if (item.axes == "zyx") != (kind == "volume"):
        return []
    if item.axes == "tzyx":
        _, frames, depth, height, width = item.shape
        steps = (item.spacing[0], item.spacing[2], item.spacing[3])
        shape = (frames, height, width)
        return [ItemPlace(store, index, plane, shape, steps, item.times) for plane in range(depth)]
    _, first, height, width = item.shape
    spacing = (item.spacing[0], item.spacing[1], item.spacing[2])
    return [ItemPlace(store, index, None, (first, height, width), spacing, item.times)]


def settings_of(stores: Sequence[VolumeStore]) -> dict[str, Any]:
    """How the stores were prepared.

    Raises:
        DataError: volumes were not turned to one orientation, or the stores differ.
    """
    first = stores[0].settings
    for store in stores:
        if store.settings.get("orientation") != CANONICAL_ORIENTATION:
            raise DataError(
                f"{store.path}: made before volumes were turned to one orientation; "
                "prepare it again"
            )
        for name in _ALIKE:
            if store.settings[name] != first[name]:
                raise DataError(
                    f"{store.path}: prepared with data.{name} {store.settings[name]}, "
                    f"{stores[0].path} with {first[name]}; prepare them alike"
                )
    return first


def num_channels(
    stores: Sequence[VolumeStore],
    places: Sequence[ItemPlace],
    asked: Literal["auto"] | int,
    kind: VolumeKind,
) -> int:
    """How many channels a crop has.

    Raises:
        DataError: an item cannot be shown with so many.
    """
    present = {stores[place.store].items[place.index].shape[0]: place for place in reversed(places)}
    wanted = max(present) if asked == "auto" else int(asked)
    for count, place in present.items():
        if not takes_channels(count, wanted, kind):
            raise DataError(
                f"{stores[place.store].path}: item {place.index} has {count} channels, "
                f"{wanted} are needed (model.in_channels)"
            )
    if kind == "clip" and max(present) > wanted:
        _logger.info("colour clips are read as luminance (channels=%d)", wanted)
    return wanted
