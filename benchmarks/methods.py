"""Every method on the same encoder, images, steps and views: one table; goes on if stopped.

    python benchmarks/methods.py FOLDER OUT --label finding --steps 2000 [--model vit_ti8_64]
        [--seeds 0,1,2] [--methods lejepa,mae,...] [key=value ...]

FOLDER's table has the label and a split into train and test by patient. Each method pre-trains on
the training part for the same number of steps of the same batch; then `medjepa evaluate` judges
each encoder frozen. Printed: linear probe and kNN with 95 % intervals over patients, the baselines,
and the seconds that training took, which are not equal: an image is seen in 2 full views by all
methods, beside them in 2 mostly hidden ones by lejepa and in 8 small ones by dino. Supervised
learns the training part's labels; the others learn none. key=value goes to pretrain (model.*,
views.*, training.*, a method's section) and evaluate (evaluation.*), data.* and hardware.* to both.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

METHODS = ("lejepa", "supervised", "mae", "simclr", "vicreg", "dino", "ijepa")
BOTH = ("data", "hardware", "privacy")
TABLE = "{:<30} {:>24} {:>24} {:>9}"


def main() -> None:
    """Train and judge what is not there yet; print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("out", type=Path)
    parser.add_argument("--label", required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--model", default="vit_ti8_64")
    parser.add_argument("--seeds", type=lambda text: [int(n) for n in text.split(",")], default=[0])
    parser.add_argument("--methods", type=lambda text: text.split(","), default=METHODS)
    parser.add_argument("settings", nargs="*", metavar="key=value")
    asked = parser.parse_intermixed_args()
    results, seconds = {}, {}
    for method in asked.methods:
        runs = [asked.out / f"{method}-{seed}" for seed in asked.seeds]
        for run, seed in zip(runs, asked.seeds, strict=True):
            pretrain(asked, method, run, seed)
        seconds[method] = trained_seconds(runs)
        results[method] = evaluate(asked, method, runs)
    print_table(results, seconds, asked.label)


def pretrain(asked: argparse.Namespace, method: str, run: Path, seed: int) -> None:
    """Train one encoder; a run that has its last step is left alone."""
    metrics = run / "metrics.jsonl"
    lines = metrics.read_text(encoding="utf-8").splitlines() if metrics.is_file() else []
    if lines and lines[-1].endswith("}") and json.loads(lines[-1])["step"] >= asked.steps:
        return
    begun = (run / "checkpoints" / "last.pt").is_file()
    medjepa(
        "pretrain",
        f"data={asked.folder}",
        f"out={run}",
        f"model={asked.model}",
        f"method={method}",
        f"label={asked.label}",
        f"seed={seed}",
        # Epochs without end: the steps decide.
        "training.num_epochs=1000000",
        f"training.max_steps={asked.steps}",
        *chosen(asked.settings, ("evaluation",), inverse=True),
        *(["resume=true"] if begun else []),
    )


def evaluate(asked: argparse.Namespace, method: str, runs: list[Path]) -> dict[str, Any]:
    """Judge the encoders of one method, averaged over seeds; the last step's, not the best loss's.

    A low loss is not a good encoder where the targets move, and all had the same steps.
    """
    out = asked.out / f"evaluate-{method}"
    if not (out / "results.json").is_file():
        checkpoints = ",".join(str(run / "checkpoints" / "last.pt") for run in runs)
        medjepa(
            "evaluate",
            f"checkpoint=[{checkpoints}]",
            f"data={asked.folder}",
            f"label={asked.label}",
            f"out={out}",
            *chosen(asked.settings, ("evaluation", *BOTH)),
        )
    found: dict[str, Any] = json.loads((out / "results.json").read_text(encoding="utf-8"))
    return found


def chosen(settings: list[str], sections: tuple[str, ...], *, inverse: bool = False) -> list[str]:
    """The settings of some sections, or of all others."""
    return [s for s in settings if (s.partition("=")[0].partition(".")[0] in sections) != inverse]


def trained_seconds(runs: list[Path]) -> float:
    """Mean seconds that a run trained."""
    last = [(run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1] for run in runs]
    return sum(float(json.loads(line)["seconds"]) for line in last) / len(last)


def print_table(results: dict[str, dict[str, Any]], seconds: dict[str, float], label: str) -> None:
    """Print each method's pre-trained encoder, and the baselines once."""
    first = next(iter(results.values()))
    print(
        f"{label}: {first['num_train']} training and {first['num_test']} test images "
        f"({first['num_test_patients']} patients), seeds {first['seeds']}; AUC, 95 % interval over "
        f"{first['num_resamples']} resamples of patients"
    )
    print(TABLE.format("", "linear probe", "kNN", "seconds"))
    for method, found in results.items():
        for row in found["methods"]:
            if row["key"] == "pretrained":
                print(line(method, row, f"{seconds[method]:.0f}"))
    for row in first["methods"]:
        if row["key"] != "pretrained":
            print(line(row["title"], row, ""))


def line(name: str, row: dict[str, Any], took: str) -> str:
    """One row of the table."""
    cells = []
    for kind in ("probe", "knn"):
        scores = row.get(kind)
        auc = scores["auc"] if scores else None
        cells.append(f"{auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}]" if auc else "-")
    return TABLE.format(name, *cells, took)


def medjepa(*arguments: str) -> None:
    """Run a command; its failure ends this one."""
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
    command = [sys.executable, "-m", "medjepa", *arguments]
    subprocess.run(command, check=True, env=environment, stdout=sys.stderr)  # noqa: S603


if __name__ == "__main__":
    main()
