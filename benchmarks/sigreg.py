"""SIGReg by powers of one sine and cosine against the formula as it is written.

    python benchmarks/sigreg.py [--rounds 7] [--threads 1]

Forward and backward of both, interleaved in one run; prints the median time of each, and the
median of the per-round ratios with their least and greatest. Ratios carry over between machines,
times do not.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from medjepa.objectives.randomness import generator
from medjepa.objectives.sigreg import epps_pulley

SHAPES = ((64, 1024), (64, 4096), (256, 1024), (512, 1024), (256, 8192))


def direct(x: Tensor) -> Tensor:
    """All knots at once, as in the paper: an (N, K, 17) tensor."""
    knots = torch.linspace(0, 3, 17, dtype=x.dtype)
    gauss = torch.exp(-0.5 * knots**2)
    angle = x[:, :, None] * knots
    error = (angle.cos().mean(0) - gauss) ** 2 + angle.sin().mean(0) ** 2
    return 2 * len(x) * torch.trapezoid(error * gauss, knots, dim=-1)


def seconds(statistic: Callable[[Tensor], Tensor], x: Tensor) -> float:
    """Time one value with its gradient."""
    start = time.perf_counter()
    statistic(x).sum().backward()
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"torch {torch.__version__}, {arguments.threads} thread(s), float32, seed 0")
    print("  N      K   ours ms  direct ms   direct / ours (least - greatest)   difference")
    for num, columns in SHAPES:
        x = torch.randn(num, columns, generator=generator(0, num, "benchmark")).requires_grad_()
        difference = (epps_pulley(x) - direct(x)).abs().max().item()
        pairs = [(seconds(epps_pulley, x), seconds(direct, x)) for _ in range(arguments.rounds + 1)]
        pairs = pairs[1:]  # the first warms up
        ratios = [b / a for a, b in pairs]
        ours, theirs = (statistics.median(column) * 1e3 for column in zip(*pairs, strict=True))
        print(
            f"{num:4d} {columns:6d} {ours:9.1f} {theirs:10.1f} "
            f"{statistics.median(ratios):10.1f} ({min(ratios):.1f} - {max(ratios):.1f}) "
            f"{difference:22.1e}"
        )


if __name__ == "__main__":
    main()
