"""Feature extraction from a prepared store against the bare forward pass of the encoder.

    python benchmarks/feature_speed.py FOLDER [--model vit_ti8_64] [--images 1000] [--threads 1,2]
        [--rounds 7]

FOLDER holds images; a store of them is prepared in a temporary folder first. Three passes take
turns, and the medians of their ratios within a round are printed, since a machine's speed drifts:

    bare       the encoder alone, on the batches already in memory
    features   as `medjepa embed` does it: read, scaled, encoded, gathered
    evaluate   as `medjepa evaluate` does it: two encoders, pixels, gradients, against two bare ones

Then the seconds of single protocols on features that are there: linear probe, kNN, few-shot.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch

from medjepa.config.evaluation import EvaluationConfig
from medjepa.data.cache import ensure_store
from medjepa.data.store_dataset import StoreDataset
from medjepa.evaluation.context import Context
from medjepa.evaluation.embed import embed, encoder_of, gradients, pixels, untrained_twin
from medjepa.evaluation.few_shot_section import few_shot_sections
from medjepa.evaluation.last_blocks import last_blocks_of
from medjepa.evaluation.neighbours import neighbour_sections
from medjepa.evaluation.protocol import Features, measure, measure_majority
from medjepa.evaluation.resamples import Resamples
from medjepa.evaluation.results import MAJORITY, PRETRAINED
from medjepa.evaluation.task import Task
from medjepa.models.lejepa import LeJEPA
from medjepa.models.registry import ENCODERS

BATCH = 64


def main() -> None:
    """Print ratios, then seconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="vit_ti8_64")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    sizes = {key: value for key, value in ENCODERS[asked.model].items() if key != "type"}
    torch.manual_seed(0)
    model = LeJEPA(**sizes, in_channels=3).eval()  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as cache:
        stores = ensure_store(asked.folder, size=int(model.image_size[0]), cache_dir=cache)
        num = min(asked.images, sum(len(store) for store in stores))
        images = StoreDataset(stores, channels=3, indices=np.arange(num))
        for threads in (int(text) for text in asked.threads.split(",")):
            torch.set_num_threads(threads)
            compare(model, images, threads, asked.rounds)
        protocols(num)


def compare(model: LeJEPA, images: StoreDataset, threads: int, rounds: int) -> None:
    """The three passes in turn; the ratio of each round, and its median."""
    device, twin = torch.device("cpu"), untrained_twin(model, seed=0)
    places = [list(range(n, min(n + BATCH, len(images)))) for n in range(0, len(images), BATCH)]
    batches = [images.__getitems__(place).batch.images for place in places]
    alone = {"": encoder_of(model, device)}
    everything = {
        "pretrained": last_blocks_of(model, device, 1),
        "untrained": last_blocks_of(twin, device, 1),
        "pixels": pixels,
        "gradients": gradients,
    }

    def bare() -> None:
        with torch.inference_mode():
            for batch in batches:
                model.encoder(batch)

    def features() -> None:
        embed(images, alone, batch_size=BATCH)

    def evaluated() -> None:
        embed(images, everything, batch_size=BATCH)

    passes: dict[str, Callable[[], None]] = {
        "bare": bare, "features": features, "evaluate": evaluated,
    }  # fmt: skip
    # Of one thread its processor time: what else a machine does is not in it.
    clock = time.process_time if threads == 1 else time.perf_counter
    taken: dict[str, list[float]] = {name: [] for name in passes}
    for number in range(rounds + 1):
        for name, one in passes.items():
            start = clock()
            one()
            if number:  # the first warms up
                taken[name].append(clock() - start)
    print(f"{len(images)} images, {images.image_size}, {threads} thread(s), {rounds} rounds")
    for name, fair in (("features", 1), ("evaluate", 2)):
        ratios = [a / (fair * b) for a, b in zip(taken[name], taken["bare"], strict=True)]
        per_image = 1000 * statistics.median(taken[name]) / len(images)
        print(
            f"  {name:10} {statistics.median(ratios):.3f} times {fair} bare pass(es) "
            f"({min(ratios):.3f} to {max(ratios):.3f}), {per_image:.2f} ms an image"
        )


def protocols(num: int) -> None:
    """Processor seconds of single protocols on features that are there: two classes, 128 numbers.

    Half of the images are tested, and each patient has two.
    """
    rng = np.random.default_rng(0)
    target = np.repeat(np.arange(num // 2) % 2, 2).astype(np.int64)
    x = rng.normal(size=(len(target), 128)) + 0.3 * target[:, None]
    task = Task(
        label="finding",
        target=target,
        class_names=("no", "yes"),
        groups=tuple(f"p{n // 2}" for n in range(len(target))),
        train=np.arange(len(target) // 2),
        test=np.arange(len(target) // 2, len(target)),
    )
    features = Features(key=PRETRAINED, arrays=(x,), seeds=(0,))
    resamples = Resamples.draw([task], num_resamples=1000, seed=0)
    start = time.process_time()
    measured = measure(features, [task], resamples)
    print(f"linear probe and kNN, 1,000 resamples: {time.process_time() - start:.1f} s")
    context = Context(
        features=(features,),
        measured=(measured, measure_majority(MAJORITY, [task], resamples)),
        comparisons=(),
        tasks=(task,),
        resamples=resamples,
        settings=EvaluationConfig(few_shot=True),
    )
    for name, sections in (
        ("kNN at each k", neighbour_sections),
        ("few-shot, 8 numbers of shots, 3 classifiers, 1,000 episodes each", few_shot_sections),
    ):
        start = time.process_time()
        sections(context)
        print(f"{name}: {time.process_time() - start:.1f} s")


if __name__ == "__main__":
    main()
