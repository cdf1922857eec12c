"""How well copies and inverted images are told, on a folder of real images.

    python benchmarks/look_alikes.py FOLDER [FOLDER ...]

Copies are made by known changes; images are inverted by a known draw. What is found without any
change is counted too: pairs to look at, and images falsely called inverted.
"""

import io
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from medjepa.data.decode import read
from medjepa.data.duplicates import fingerprints, near_pairs, thumbnail
from medjepa.data.files import scan
from medjepa.data.intensity import window_of
from medjepa.data.resize import resize
from medjepa.data.survey.examine import look_of, middle
from medjepa.data.survey.oddities import looks_inverted
from medjepa.errors import InputError, InputWarning

MOST = 1000
MOST_CHANGED = 200
MASK_VALUES = 8


def as_jpeg(array: np.ndarray, quality: int) -> np.ndarray:
    """(C, Y, X) uint8, saved and read again."""
    buffer = io.BytesIO()
    picture = array[0] if len(array) == 1 else np.moveaxis(array, 0, 2)
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, "JPEG", quality=quality)
    back = np.asarray(Image.open(buffer))
    return back[None] if back.ndim == 2 else np.moveaxis(back, 2, 0)


def cropped(array: np.ndarray, share: float) -> np.ndarray:
    """Without this share of each side."""
    y, x = (max(1, int(n * share)) for n in array.shape[1:])
    return array[:, y:-y, x:-x]


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "JPEG, quality 50": lambda a: as_jpeg(a, 50),
    "half the size": lambda a: resize(a, (a.shape[1] // 2, a.shape[2] // 2)),
    "darker, gamma 0.7": lambda a: (255 * (a / 255) ** 0.7 * 0.8).astype(np.uint8),
    "cropped by 2 %": lambda a: cropped(a, 0.02),
    "cropped by 5 %": lambda a: cropped(a, 0.05),
    "cropped by 1 %": lambda a: cropped(a, 0.01),
    "mirrored": lambda a: np.ascontiguousarray(a[..., ::-1]),
    "upside down": lambda a: np.ascontiguousarray(a[:, ::-1]),
    "a quarter turn": lambda a: np.ascontiguousarray(np.rot90(a, axes=(1, 2))),
}


def pictures(folder: Path) -> list[np.ndarray]:
    """(C, Y, X) uint8 of the readable images that are no masks, at most 1,000 of them."""
    paths = [folder / entry.relative for entry in scan(0, folder)]
    if len(paths) > MOST:
        chosen = np.random.default_rng(0).choice(len(paths), MOST, replace=False)
        paths = [paths[i] for i in sorted(chosen)]
    found = []
    for path in paths:
        try:
            plane = middle(read(path))
        except InputError:
            continue
        low, high = window_of(plane)
        scaled = (plane.array.astype(np.float32) - low) / max(high - low, 1e-6)
        shown = np.rint(np.clip(scaled, 0, 1) * 255).astype(np.uint8)
        if len(np.unique(shown)) > MASK_VALUES:
            found.append(shown)
    return found


def measure(folder: Path) -> None:
    """Print what is found of one folder."""
    rng = np.random.default_rng(0)
    images = pictures(folder)
    thumbs = np.stack([thumbnail(image) for image in images])
    prints = fingerprints(thumbs)
    print(f"{folder.name}: {len(images)} images, {len(near_pairs(prints))} pairs as they are")
    chosen = rng.choice(len(images), min(MOST_CHANGED, len(images)), replace=False)
    for name, change in CHANGES.items():
        changed = fingerprints(np.stack([thumbnail(change(images[i])) for i in chosen]))
        pairs = near_pairs(prints[chosen], changed)
        found = sum(i == j for i, j, _ in pairs)
        print(f"  copy {name:18} found {found / len(chosen):4.0%} of {len(chosen)}")
    looks = np.stack([look_of(thumb) for thumb in thumbs])
    print(f"  called inverted as they are: {looks_inverted(looks).sum()}")
    for share in (0.01, 0.05, 0.2, 0.4):
        turned = rng.random(len(looks)) < share
        found = looks_inverted(np.where(turned[:, None, None], -looks, looks))
        hits, false = (found & turned).sum(), (found & ~turned).sum()
        print(f"  inverted {share:4.0%}: {hits} of {turned.sum()} found, {false} others")


if __name__ == "__main__":
    warnings.simplefilter("ignore", InputWarning)
    for name in sys.argv[1:]:
        measure(Path(name))
