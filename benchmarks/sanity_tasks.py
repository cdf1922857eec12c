"""Small tasks without labels that an encoder of any worth solves, each with its chance level.

    python benchmarks/sanity_tasks.py cine FOLDER checkpoint      # a folder for each slice position
    python benchmarks/sanity_tasks.py contrasts FOLDER checkpoint # a folder for each contrast

cine: each frame's nearest other frame (by cosine) of its slice position is the one before or after
it in time (the cycle is closed); its nearest frame of all is of the same slice position.
contrasts: each slice's nearest slice at another place is of the same contrast.
Printed for the encoder, its untrained twin and 32 x 32 pixels; intervals are Wilson's, and too
narrow: frames of one heart, slices of one head are not independent.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from medjepa.checkpoint import Encoder, load_encoder
from medjepa.data import read_series
from medjepa.data.duplicates import thumbnail
from medjepa.evaluation.embed import untrained_twin

Rows = np.ndarray


def main() -> None:
    """Read, embed, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=("cine", "contrasts"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("checkpoint")
    parser.add_argument("--leave-out", default="", help="folders whose name holds this word")
    arguments = parser.parse_args()
    encoder = load_encoder(arguments.checkpoint, device="cpu")
    if not isinstance(encoder, Encoder):
        raise SystemExit(f"{arguments.checkpoint}: an encoder of images is needed")
    series = {
        folder.name: read_series(folder)
        for folder in sorted(arguments.folder.iterdir())
        if folder.is_dir() and any(folder.glob("*.dcm"))
        if not (arguments.leave_out and arguments.leave_out in folder.name)
    }
    planes = {
        name: list(image.array[0].reshape(-1, *image.array.shape[-2:]))
        for name, image in series.items()
    }
    names = [name for name, own in planes.items() for _ in own]
    places = [place for own in planes.values() for place in range(len(own))]
    everything = [plane for own in planes.values() for plane in own]
    twin = Encoder(untrained_twin(encoder.model, seed=0), encoder.pipeline, device="cpu")
    features: dict[str, Rows] = {
        "encoder": encoder.embed(everything),
        "untrained": twin.embed(everything),
        "pixels": np.stack([thumbnail(p[None].astype(np.float32)).ravel() for p in everything]),
    }
    lengths = {name: len(own) for name, own in planes.items()}
    print(f"{arguments.task}: {len(names)} images of {len(lengths)} series {lengths}")
    for name, rows in features.items():
        task: Callable[[Rows, np.ndarray, np.ndarray], list[str]] = (
            cine if arguments.task == "cine" else contrasts
        )
        for line in task(rows, np.asarray(names), np.asarray(places)):
            print(f"  {name:10} {line}")


def cine(rows: Rows, names: np.ndarray, places: np.ndarray) -> list[str]:
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


def contrasts(rows: Rows, names: np.ndarray, places: np.ndarray) -> list[str]:
    """Contrast of the nearest slice at another place."""
    other = places[:, None] != places[None]
    nearest = np.where(other, similarity(rows), -np.inf).argmax(1)
    chance = float(np.mean((other & (names[:, None] == names[None])).sum(1) / other.sum(1)))
    return [told("same contrast", names[nearest] == names, chance)]


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


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
