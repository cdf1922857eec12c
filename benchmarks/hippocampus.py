"""Pre-training, fine-tuning and peers on the hippocampus, fold by fold; goes on if stopped.

    python benchmarks/hippocampus.py FOLDER OUT [fold ...] [--seed 0] [--steps 700] [--no-unet]

FOLDER holds images/, labels/ and folds.csv of the Medical Segmentation Decathlon's Task04. For each
fold the encoder is pre-trained on the images of the other folds alone; the networks then learn
from 100 % and from 10 % of their labels, and are tested on the fold. The U-Net (needs monai) gets
more steps, as many as take the same time: its step takes STEP_RATIO times less, measured on one
core with crops of 32 x 48 x 32 (0.20 s against 0.26 s a step of 4 crops, with augmentation).
Each network has its own best learning rate, so the U-Net is a study of its own; its paired
difference is printed and written to OUT/paired-FOLD-SEED.json.
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np
from commands import medjepa

CONFIG = Path(__file__).resolve().parent.parent / "configs" / "hippocampus.yaml"
STEP_RATIO = 1.28
OURS_RATE, UNET_RATE = 0.01, 0.005
"""Each network's best peak learning rate on a validation part of the training folds."""


def main() -> None:
    """Run what is not there yet, and print one line for each part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("folds", nargs="*", default=["0", "1", "2", "3", "4"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--no-unet", action="store_true")
    asked = parser.parse_args()
    for fold in asked.folds:
        run = asked.out / f"pretrain-{fold}-{asked.seed}"
        pretrain(asked.folder, run, fold, asked.seed)
        done: list[Path] = []
        studies = [("pretrained,scratch,frozen_linear", "0.1,1.0", asked.steps, OURS_RATE)]
        if not asked.no_unet:
            studies.append(("unet", "1.0", round(STEP_RATIO * asked.steps), UNET_RATE))
        for methods, fractions, steps, rate in studies:
            study = asked.out / f"{methods.split(',')[-1]}-{fold}-{asked.seed}"
            medjepa(
                "finetune",
                f"checkpoint={run}",
                f"data={asked.folder}",
                "split=fold",
                f"fold={fold}",
                f"seed={asked.seed}",
                "names=[anterior,posterior]",
                f"methods=[{methods}]",
                f"fractions=[{fractions}]",
                f"steps={steps}",
                f"learning_rate={rate}",
                f"out={study}",
            )
            print(fold, study / "index.html", flush=True)
            done.append(study)
        if len(done) > 1:
            paired(*done, asked.out / f"paired-{fold}-{asked.seed}.json", fold)


def pretrain(folder: Path, run: Path, fold: str, seed: int) -> None:
    """Pre-train without the fold's images; a run that is finished says so and returns at once."""
    begun = (run / "checkpoints" / "last.pt").is_file()
    medjepa(
        "pretrain",
        str(CONFIG),
        f"data={folder}",
        "data.split_column=fold",
        f"data.held_out=[{fold}]",
        f"seed={seed}",
        f"out={run}",
        *(["resume=true"] if begun else []),
    )


def paired(ours: Path, unet: Path, out: Path, fold: str) -> None:
    """Mean Dice of each network minus that of the U-Net, patient by patient, with all labels."""
    found, reference = scores_of(ours), scores_of(unet)[("unet", "1.0")]
    lines = []
    for (method, fraction), scores in found.items():
        if fraction != "1.0":
            continue
        difference = np.array([scores[patient] - reference[patient] for patient in reference])
        rng = np.random.default_rng(0)
        rows = rng.integers(0, len(difference), (1000, len(difference)))
        low, high = np.quantile(difference[rows].mean(1), [0.025, 0.975])
        line = {
            "fold": fold,
            "method": method,
            "against": "unet",
            "patients": len(difference),
            "dice": float(difference.mean()),
            "low": float(low),
            "high": float(high),
        }
        lines.append(line)
        print(
            f"fold {fold}: {method} minus U-Net, all labels: {difference.mean():+.4f} "
            f"[{low:+.4f}, {high:+.4f}], {len(difference)} patients",
            flush=True,
        )
    out.write_text(json.dumps(lines, indent=1), encoding="utf-8")


def scores_of(study: Path) -> dict[tuple[str, str], dict[str, float]]:
    """Of each network and share of labels: mean Dice over structures of every patient."""
    values: dict[tuple[str, str], dict[str, list[float]]] = {}
    with (study / "cases.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["dice"]:
                patients = values.setdefault((row["method"], row["labels"]), {})
                patients.setdefault(row["patient"], []).append(float(row["dice"]))
    return {
        network: {patient: float(np.mean(one)) for patient, one in patients.items()}
        for network, patients in values.items()
    }


if __name__ == "__main__":
    main()
