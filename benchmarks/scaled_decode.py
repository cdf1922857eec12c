"""What does decoding a JPEG at a smaller size gain, and what does it change?

    python benchmarks/scaled_decode.py [FILE.jpg ...] [--size 224] [--rounds 9]

Without files, a picture of 2048 x 2048 with detail at every scale is made. Both ways end at
`size` x `size`: the whole image decoded and resized, and the image decoded by `read_at_least` and
resized. They take turns; the least processor time of each counts, and the difference of the
pixels is stated in grey levels of 255.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from medjepa.data import read
from medjepa.data.decode import read_at_least
from medjepa.data.resize import resize

SIDE = 2048


def main() -> None:
    """Print one line for each file and factor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    size = (arguments.size, arguments.size)
    with tempfile.TemporaryDirectory() as temporary:
        for path in arguments.files or made_in_code(Path(temporary)):
            for factor in (1, 2):
                print(f"{path.name}, at least {factor} x {size[0]}: ", end="")
                print(compared(path, size, factor, arguments.rounds))


def compared(path: Path, size: tuple[int, int], factor: int, rounds: int) -> str:
    """Time both ways by turns."""
    at_least = (factor * size[0], factor * size[1])
    seconds: dict[str, list[float]] = {"whole": [], "scaled": []}
    for _ in range(rounds):
        begin = time.process_time()
        whole = resize(read(path).array, size)
        middle = time.process_time()
        scaled = resize(read_at_least(path, at_least)[0].array, size)
        seconds["whole"].append(middle - begin)
        seconds["scaled"].append(time.process_time() - middle)
    difference = np.abs(whole.astype(np.float64) - scaled)
    least = {name: min(values) for name, values in seconds.items()}
    return (
        f"{1000 * least['whole']:.1f} ms whole, {1000 * least['scaled']:.1f} ms scaled "
        f"({least['whole'] / least['scaled']:.1f} times as fast); difference: mean "
        f"{difference.mean():.2f}, 99 % below {np.quantile(difference, 0.99):.1f}, "
        f"most {difference.max():.0f}"
    )


def made_in_code(folder: Path) -> list[Path]:
    """Write a grey and a coloured picture: noise at every scale, the coarse ones strongest."""
    rng = np.random.default_rng(0)
    paths = []
    for name, channels in (("grey.jpg", 1), ("colour.jpg", 3)):
        planes = []
        for _ in range(channels):
            total = np.zeros((SIDE, SIDE), np.float32)
            for exponent in range(1, 12):
                coarse = rng.normal(0, 2.0**-exponent, (2**exponent,) * 2).astype(np.float32)
                scaled = Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
                total += np.asarray(scaled)
            planes.append(np.clip(128 + 90 * total, 0, 255).astype(np.uint8))
        array = planes[0] if channels == 1 else np.stack(planes, axis=-1)
        Image.fromarray(array).save(folder / name, quality=90)
        paths.append(folder / name)
    return paths


if __name__ == "__main__":
    main()
