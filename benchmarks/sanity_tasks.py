"""Small tasks without labels that an encoder of any worth solves, each with its chance level.

    python benchmarks/sanity_tasks.py cine FOLDER checkpoint      # a folder for each slice position
    python benchmarks/sanity_tasks.py contrasts FOLDER checkpoint # a folder for each contrast
    python benchmarks/sanity_tasks.py places VOLUME checkpoint    # one file

cine: each frame's nearest other frame (by cosine) of its slice position is the one before or after
it in time (the cycle is closed); its nearest frame of all is of the same slice position.
contrasts: each slice's nearest slice at another place is of the same contrast.
places: of all slices that share nothing with a slice, the nearest is one of the two next to it.
An encoder of volumes is shown slabs as thick as its window instead of slices, and slabs that
overlap are never compared; an encoder of clips is shown a frame that stands still.
Printed for the encoder, its untrained twin and 32 x 32 pixels (of slabs their mean); intervals are
Wilson's, and too narrow: frames of one heart, slices of one head are not independent.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from medjepa.checkpoint import load_encoder
from medjepa.data import read, read_series
from medjepa.data.duplicates import thumbnail
from medjepa.encoders import Encoder, VolumeEncoder
from medjepa.evaluation.embed import untrained_twin

Rows = np.ndarray


def main() -> None:
    """Read, embed, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=tuple(TASKS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("checkpoint")
    parser.add_argument("--leave-out", default="", help="folders whose name holds this word")
    arguments = parser.parse_args()
    encoder = load_encoder(arguments.checkpoint, device="cpu")
    series = opened(arguments.folder, arguments.leave_out)
    depth = 1
    if isinstance(encoder, VolumeEncoder) and encoder.pipeline.kind == "volume":
        depth = encoder.pipeline.crop[0]
    slabs = {name: cut(planes, depth) for name, planes in series.items()}
    names = [name for name, own in slabs.items() for _ in own]
    places = [place for own in slabs.values() for place in range(len(own))]
    everything = [slab for own in slabs.values() for slab in own]
    features: dict[str, Rows] = {
        "encoder": embedded(encoder, everything),
        "untrained": embedded(twin_of(encoder), everything),
        "pixels": np.stack([thumbnail(slab.mean(0)[None]).ravel() for slab in everything]),
    }
    lengths = {name: len(own) for name, own in slabs.items()}
    print(f"{arguments.task}: {len(names)} of {depth} slices, of {len(lengths)} series {lengths}")
    for name, rows in features.items():
        task = TASKS[arguments.task]
        for line in task(rows, np.asarray(names), np.asarray(places), depth):
            print(f"  {name:10} {line}")


def opened(path: Path, leave_out: str) -> dict[str, Rows]:
    """{name: planes (P, H, W)} of one file, or of the series in a folder's folders."""
    if path.is_file():
        return {path.name: planes_of(read(path).array)}
    return {
        folder.name: planes_of(read_series(folder).array)
        for folder in sorted(path.iterdir())
        if folder.is_dir() and any(folder.glob("*.dcm"))
        if not (leave_out and leave_out in folder.name)
    }


def planes_of(array: Rows) -> Rows:
    """The first channel as (P, H, W)."""
    return array[0].reshape(-1, *array.shape[-2:]).astype(np.float32)


def cut(planes: Rows, depth: int) -> list[Rows]:
    """Every slab (depth, H, W) of neighbouring planes."""
    return [planes[start : start + depth] for start in range(len(planes) - depth + 1)]


def embedded(encoder: Encoder | VolumeEncoder, slabs: list[Rows]) -> Rows:
    """(N, D)."""
    images = isinstance(encoder, Encoder)
    return encoder.embed([slab[0] if images else slab for slab in slabs])


def twin_of(encoder: Encoder | VolumeEncoder) -> Encoder | VolumeEncoder:
    """The same encoder with random weights."""
    twin = untrained_twin(encoder.model, seed=0)
    return type(encoder)(twin, encoder.pipeline, device="cpu")  # type: ignore[arg-type]


def cine(rows: Rows, names: np.ndarray, places: np.ndarray, depth: int) -> list[str]:
    """Neighbour in time, and slice position."""
    near = similarity(rows)
    same = names[:, None] == names[None]
    within = np.where(same, near, -np.inf).argmax(1)
    length = np.array([(names == name).sum() for name in names])
    gap = np.abs(places - places[within])
    beside = np.minimum(gap, length - gap) == 1
    anywhere = names[near.argmax(1)] == names
    chance_place = float(np.mean((same.sum(1) - 1) / (len(names) - 1)))
    return [
        told("next or previous phase", beside, float(np.mean(2 / (length - 1)))),
        told("same slice position", anywhere, chance_place),
    ]


def contrasts(rows: Rows, names: np.ndarray, places: np.ndarray, depth: int) -> list[str]:
    """Contrast of the nearest slice at another place."""
    other = np.abs(places[:, None] - places[None]) >= depth
    nearest = np.where(other, similarity(rows), -np.inf).argmax(1)
    chance = float(np.mean((other & (names[:, None] == names[None])).sum(1) / other.sum(1)))
    return [told("same contrast", names[nearest] == names, chance)]


def next_place(rows: Rows, names: np.ndarray, places: np.ndarray, depth: int) -> list[str]:
    """Place of the nearest slice that shares nothing."""
    gap = np.abs(places[:, None] - places[None])
    nearest = np.where(gap >= depth, similarity(rows), -np.inf).argmax(1)
    chance = float(np.mean((gap == depth).sum(1) / (gap >= depth).sum(1)))
    return [told("next to it", gap[np.arange(len(gap)), nearest] == depth, chance)]


def similarity(rows: Rows) -> Rows:
    """Cosine of centred rows, (N, N); -inf with itself."""
    centred = rows - rows.mean(0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    near = unit @ unit.T
    np.fill_diagonal(near, -np.inf)
    return near


def told(what: str, right: np.ndarray, chance: float) -> str:
    """A share with Wilson's 95 % interval, its n and its chance level."""
    n, share, z = len(right), float(right.mean()), 1.96
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (
        f"{what}: {share:.3f} [{middle - half:.3f}, {middle + half:.3f}], n {n}, "
        f"chance {chance:.3f}"
    )


Task = Callable[[Rows, np.ndarray, np.ndarray, int], list[str]]
TASKS: dict[str, Task] = {"cine": cine, "contrasts": contrasts, "places": next_place}

if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
