"""Pre-training, fine-tuning and peers on the hippocampus, fold by fold; goes on if stopped.

    python benchmarks/hippocampus.py FOLDER OUT [fold ...] [--seed 0] [--steps 700] [--no-unet]

FOLDER holds images/, labels/ and folds.csv of the Medical Segmentation Decathlon's Task04. For each
fold the encoder is pre-trained on the images of the other folds alone; the networks then learn
from 100 % and from 10 % of their labels, and are tested on the fold. The U-Net (needs monai) gets
more steps, as many as take the same time: its step takes STEP_RATIO times less, measured on one
core with crops of 32 x 48 x 32 (0.20 s against 0.26 s a step of 4 crops, with augmentation).
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

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
            print(fold, study, json.dumps({"results": str(study / "results.json")}), flush=True)


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


def medjepa(*arguments: str) -> None:
    """Run a command; its failure ends this one."""
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
    command = [sys.executable, "-m", "medjepa", *arguments]
    subprocess.run(command, check=True, env=environment)  # noqa: S603 - our own command


if __name__ == "__main__":
    main()
