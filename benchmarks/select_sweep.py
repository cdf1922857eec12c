"""Do scores without labels order checkpoints as a probe does? A sweep of small runs; resumable.

    python benchmarks/select_sweep.py FOLDER OUT --label finding --steps 400 [--model vit_ti8_64]
        [key=value ...]

FOLDER's table has the label and a split into train and test by patient. Each run of `SWEEP` differs
from the first in one thing: the weight of SIGReg (down to 0, which invites collapse), the learning
rate, the steps, the objective, the method. `medjepa select checkpoints=last label=...` then scores
all of them on the same views (scale 0.3 to 1, strength 1) and correlates with the linear probe.
key=value goes to pretrain (model.*, training.*), select (evaluation.*, images, num_views), data.*
and hardware.* to both. Runs whose name is in --only are taken, by default all.
"""

import argparse
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from medjepa.cli.main import main as run
from medjepa.report.cells import p_text
from medjepa.training.files import move_aside

SWEEP: dict[str, tuple[str, ...]] = {
    "base": (),
    "lambda-0.02": ("training.lambda_reg=0.02",),
    "lambda-0": ("training.lambda_reg=0",),
    "rate-low": ("training.learning_rate=0.00005",),
    "rate-high": ("training.learning_rate=0.01",),
    "short": (),
    "patches": ("model.objective=patches",),
    "patches-lambda-0": ("model.objective=patches", "training.lambda_reg=0"),
    "mae": ("method=mae",),
    "vicreg": ("method=vicreg", "vicreg.hidden_dim=512", "vicreg.output_dim=512"),
}
SHORT_SHARE = 10
"""The run called short takes one of so many steps."""
BOTH, SELECT = ("data", "hardware", "privacy"), ("evaluation", "images", "num_views")


def main() -> None:
    """Train what is not there yet, score, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("out", type=Path)
    parser.add_argument("--label", required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--model", default="vit_ti8_64")
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(SWEEP))
    parser.add_argument("settings", nargs="*", metavar="key=value")
    asked = parser.parse_intermixed_args()
    for name in asked.only:
        pretrain(asked, name)
    out = asked.out / "select"
    if not (out / "select.json").is_file():
        runs = ",".join(str(asked.out / name) for name in asked.only)
        medjepa(
            "select",
            f"runs=[{runs}]",
            "checkpoints=last",
            f"data={asked.folder}",
            f"label={asked.label}",
            "views.full_scale=[0.3,1.0]",
            "views.strength=1",
            f"out={out}",
            *chosen(asked.settings, (*SELECT, *BOTH)),
        )
    show(json.loads((out / "select.json").read_text(encoding="utf-8")))


def pretrain(asked: argparse.Namespace, name: str) -> None:
    """Train one encoder; a run that has its last step is left alone."""
    run = asked.out / name
    steps = max(1, asked.steps // SHORT_SHARE) if name == "short" else asked.steps
    metrics = run / "metrics.jsonl"
    lines = metrics.read_text(encoding="utf-8").splitlines() if metrics.is_file() else []
    if lines and lines[-1].endswith("}") and json.loads(lines[-1])["step"] >= steps:
        return
    begun = (run / "checkpoints" / "last.pt").is_file()
    if run.exists() and not begun:
        move_aside(run)  # stopped before its first checkpoint
    medjepa(
        "pretrain",
        f"data={asked.folder}",
        f"out={run}",
        f"model={asked.model}",
        # Epochs without end: the steps decide.
        "training.num_epochs=1000000",
        f"training.max_steps={steps}",
        *SWEEP[name],
        *chosen(asked.settings, SELECT, inverse=True),
        *(["resume=true"] if begun else []),
    )


def chosen(settings: list[str], sections: tuple[str, ...], *, inverse: bool = False) -> list[str]:
    """The settings of some sections, or of all others."""
    return [s for s in settings if (s.partition("=")[0].partition(".")[0] in sections) != inverse]


def show(found: dict[str, Any]) -> None:
    """Print checkpoints and correlations."""
    keys = [score["key"] for score in found["scores"]]
    print(f"{found['num_images']} images, {found['images_from']}; probe: {found['test']}")
    line = "{:<30}" + "{:>15}" * len(keys) + "{:>24}"
    print(line.format("", *keys, "AUC"))
    for row in [*found["rows"], found["untrained"]]:
        values = [row["scores"][key]["value"] for key in keys]
        probe = row["probe"] or found["baselines"][0]["probe"]  # of the untrained encoder
        cells = ["-" if value is None else f"{value:.3f}" for value in values]
        name = row["name"] + (" (collapsed)" if row["collapsed"] and row["probe"] else "")
        print(line.format(name, *cells, interval(probe["auc"])))
    print(f"\n{'':<18}{'Spearman':>24}{'Kendall':>24}{'p':>8}{'Holm':>8}  {found['headline']}")
    for one in found["correlations"]:
        numbers = [interval(one[name], 2) for name in ("spearman", "kendall")]
        ps = [p_text(one[name]) for name in ("p", "p_holm")]
        print("{:<18}{:>24}{:>24}{:>8}{:>8}  {}".format(one["key"], *numbers, *ps, one["verdict"]))


def interval(estimate: dict[str, Any] | None, digits: int = 3) -> str:
    """A number with its interval."""
    if estimate is None:
        return "-"
    if estimate["low"] is None:
        return f"{estimate['value']:.{digits}f}"
    return "{:.{n}f} [{:.{n}f}, {:.{n}f}]".format(
        estimate["value"], estimate["low"], estimate["high"], n=digits
    )


def medjepa(*arguments: str) -> None:
    """Run a command; its failure ends this one."""
    with contextlib.redirect_stdout(sys.stderr):
        status = run(arguments)
    if status:
        sys.exit(status)


if __name__ == "__main__":
    main()
