"""How many crops a second does a training process get from a store of volumes?

    python benchmarks/volume_crops_speed.py [--volumes 24]

For volumes of 64^3 and 128^3 voxels (int16, smooth noise) and crops of several sizes: batches of 8
drawn crops through `VolumeDataset`, as a training step asks for them, with and without foreground;
beside it, reading whole volumes and cutting. All is warm: the files are in the system's cache.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage

from medjepa.data import VolumeDataset, VolumeStore, open_volumes, prepare

BATCH = 8
SECONDS = 2.0


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--volumes", type=int, default=24)
    num_volumes = parser.parse_args().volumes
    load = os.getloadavg()[0]
    print(f"one process, {os.cpu_count()} cores, load {load:.1f}; crops a second")
    print("volume   crop    middle   drawn   foreground   whole volume, cut   MiB/s drawn")
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as temporary:
        for side in (64, 96, 128):
            store = make_store(Path(temporary) / str(side), side, num_volumes)
            for size in (32, 64, 96, 128):
                if size <= side:
                    print(row(store, side, size))


def make_store(folder: Path, side: int, num_volumes: int) -> VolumeStore:
    """Prepare volumes of side^3."""
    (folder / "in").mkdir(parents=True)
    for number in range(num_volumes):
        noise = np.random.default_rng(number).normal(size=(side,) * 3)
        values = ndimage.gaussian_filter(noise, 3) * 20000
        np.save(folder / "in" / f"{number:03}.npy", values.astype(np.int16))
    return open_volumes(prepare(folder / "in", folder / "store", dimensions=3).out)


def row(store: VolumeStore, side: int, size: int) -> str:
    """One line of the table."""
    crop = (size,) * 3
    plain = VolumeDataset(store, crop=crop)
    aimed = VolumeDataset(store, crop=crop, foreground=1.0)
    middle = rate(lambda step: plain.__getitems__(some(len(plain), step)))
    drawn = rate(lambda step: plain.__getitems__([(i, step) for i in some(len(plain), step)]))
    found = rate(lambda step: aimed.__getitems__([(i, step) for i in some(len(aimed), step)]))

    def cut(step: int) -> None:
        rng = np.random.default_rng(step)
        for index in some(len(plain), step):
            z, y, x = (int(n) for n in rng.integers(0, side - size + 1, 3))
            whole = store.show(index, store.read(index))
            np.array(whole[:, z : z + size, y : y + size, x : x + size])

    whole = rate(cut)
    mib = drawn * size**3 * 4 / 2**20
    return (
        f"{side:>4}^3  {size:>4}^3  {middle:>7.0f} {drawn:>7.0f}  {found:>10.0f}  {whole:>17.0f}"
        f"  {mib:>11.0f}"
    )


def some(count: int, step: int) -> list[int]:
    """The items of a batch."""
    return [(step * BATCH + n) % count for n in range(BATCH)]


def rate(batch: Callable[[int], object]) -> float:
    """Crops a second, after one batch of each item."""
    for step in range(8):
        batch(step)
    begin, step = time.perf_counter(), 8
    while time.perf_counter() - begin < SECONDS:
        batch(step)
        step += 1
    return (step - 8) * BATCH / (time.perf_counter() - begin)


if __name__ == "__main__":
    main()
