"""Where the time of `medjepa evaluate` goes: processor seconds by section, features there or not.

    python benchmarks/evaluation_speed.py FOLDER [--label label] [--model vit_test] [--images 1000]

FOLDER holds images and a table. An encoder that was not trained takes as long as one that was. The
images are prepared in a temporary cache; then the evaluation runs twice, first with every image to
embed, then with features that the first run kept.
"""

import argparse
import csv
import functools
import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

from medjepa.checkpoint import save_checkpoint
from medjepa.config.evaluation import EvaluationConfig
from medjepa.evaluation.run import evaluate
from medjepa.models.lejepa import LeJEPA
from medjepa.models.registry import ENCODERS
from medjepa.report.write import write_report

SECTIONS = (
    ("medjepa.evaluation.run", "embed_images", "images: open, join labels, embed"),
    ("medjepa.evaluation.run", "pretraining_images", "images of pre-training"),
    ("medjepa.evaluation.run", "check_splits", "leaks and look-alikes"),
    ("medjepa.evaluation.run", "find_tells", "what tells the label beside the picture"),
    ("medjepa.evaluation.run", "_methods", "principal components"),
    ("medjepa.evaluation.assess", "measure", "linear probes and kNN with resamples"),
    ("medjepa.evaluation.assess", "examine", "shortcuts"),
    ("medjepa.evaluation.assess", "label_efficiency", "curve over shares of labels"),
    ("medjepa.evaluation.assess", "embedding_map", "map"),
    ("medjepa.evaluation.extras", "comparison_sections", "paired tests"),
    ("medjepa.evaluation.extras", "neighbour_sections", "kNN at each k"),
    ("medjepa.evaluation.extras", "few_shot_sections", "few-shot, 24,000 episodes each"),
    ("medjepa.evaluation.extras", "calibration_sections", "calibration"),
    ("medjepa.evaluation.extras", "across_sections", "across sites"),
    ("medjepa.evaluation.extras", "subgroup_sections", "subgroups"),
    ("medjepa.evaluation.extras", "robustness_sections", "robustness index, corruptions"),
)


def main() -> None:
    """Print a table of sections, and the seconds that importing takes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--label", default="label")
    parser.add_argument("--model", default="vit_test")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--few-shot", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    taken: dict[str, float] = {}
    for module, name, title in SECTIONS:
        _watch(importlib.import_module(module), name, title, taken)
    with tempfile.TemporaryDirectory() as work:
        table = _first(asked.table or asked.folder / "labels.csv", asked.images, Path(work))
        run = _untrained(asked.model, Path(work) / "run")
        columns = []
        for number in range(2):
            taken.clear()
            start = time.process_time()
            report = evaluate(
                run,
                asked.folder,
                asked.label,
                table=table,
                device="cpu",
                cache_dir=Path(work) / "cache",
                num_workers=0,
                settings=EvaluationConfig(few_shot=asked.few_shot),
            )
            whole = time.process_time() - start
            rest = whole - sum(taken.values())
            start = time.process_time()
            write_report(report, Path(work) / f"report {number}")
            written = time.process_time() - start
            columns.append({**taken, "the rest": rest, "page": written, "sum": whole + written})
    num = report.num_train + report.num_test
    print(f"{num:,} images, {len(report.class_names)} classes, {len(report.methods)} rows")
    print(f"| {'section':40} | first run | features kept |\n|---|---|---|")
    for title in columns[0]:
        first, second = (column.get(title, 0.0) for column in columns)
        print(f"| {title:40} | {first:.2f} | {second:.2f} |")
    print(f"import: {_import_seconds():.2f} s")


def _watch(module: Any, name: str, title: str, taken: dict[str, float]) -> None:  # noqa: ANN401
    original: Callable[..., Any] = getattr(module, name)

    @functools.wraps(original)
    def watched(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401
        start = time.process_time()
        try:
            return original(*arguments, **named)
        finally:
            taken[title] = taken.get(title, 0.0) + time.process_time() - start

    setattr(module, name, watched)


def _first(table: Path, num: int, work: Path) -> Path:
    """The first rows of a table, as a table."""
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[: num + 1]
    out = work / "labels.csv"
    with out.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return out


def _untrained(model: str, folder: Path) -> Path:
    sizes = {key: value for key, value in ENCODERS[model].items() if key != "type"}
    torch.manual_seed(0)
    encoder = LeJEPA(**sizes, in_channels=1, seed=0)  # type: ignore[arg-type]
    size = int(encoder.image_size[0])
    payload = {
        "model_state_dict": encoder.state_dict(),
        "model_config": encoder.config,
        "pipeline": {"size": (size, size), "channels": 1, "fit": "stretch"},
        "seed": 0,
        "config": {"seed": 0},
    }
    save_checkpoint(folder / "checkpoints" / "last.pt", payload)
    return folder


def _import_seconds() -> float:
    """Processor seconds of a new process that imports what `medjepa evaluate` does."""
    code = (
        "import time, medjepa.cli.evaluate, medjepa.evaluation.run, medjepa.report.write;"
        "print(time.process_time())"
    )
    found = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    return float(found.stdout)


if __name__ == "__main__":
    main()
