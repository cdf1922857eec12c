"""Fine-tuning with and without pre-training at 1, 10 and 100 % of the labels; goes on if stopped.

    python benchmarks/finetune_curves.py OUT FOLDER:LABEL ... [--minutes 30] [--steps 1000]
        [--draws 3] [--fractions 0.01,0.1,1.0] [--model vit_ti8_64] [key=value ...]

Each FOLDER holds images with a labels.csv (LABEL, split, and the patient where there is one), or is
an .npz of MedMNIST (LABEL is then `label`), whose images are written into OUT first. The encoder is
pre-trained for `--minutes` on the training part alone; then `medjepa finetune task=classify` trains
every classifier. key=value goes to finetune. The pages are OUT/NAME-curves/index.html.

Two sets with the settings above are 2 x 30 minutes of pre-training and 36 networks. On one core a
step of 32 images took .16 s (vit_ti8_64, 64 pixels, grey, with reading and views) and all looks at
the validation part 24 s (cxr_kermany, all labels) or 71 s (dermamnist), so that a network of 1,000
steps takes at most 4 minutes: 2 hours at most for all of them, less where they stop early.
"""

import argparse
import json
from pathlib import Path

from commands import medjepa
from npz_images import unpacked


def main() -> None:
    """Run what is not there yet; print the sentences of each set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("sets", nargs="+", metavar="FOLDER:LABEL or key=value")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--fractions", default="0.01,0.1,1.0")
    parser.add_argument("--model", default="vit_ti8_64")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_intermixed_args()
    further = [text for text in asked.sets if "=" in text]
    for text in (text for text in asked.sets if "=" not in text):
        given, _, label = text.rpartition(":")
        source = Path(given)
        folder = unpacked(source, asked.out) if source.suffix == ".npz" else source
        run, study = asked.out / f"{folder.name}-run", asked.out / f"{folder.name}-curves"
        pretrain(asked, folder, run)
        medjepa(
            "finetune",
            "task=classify",
            f"checkpoint={run}",
            f"data={folder}",
            f"label={label}",
            f"fractions=[{asked.fractions}]",
            f"draws={asked.draws}",
            f"steps={asked.steps}",
            f"seed={asked.seed}",
            "methods=[pretrained,scratch,frozen]",
            f"out={study}",
            *further,
        )
        report = json.loads((study / "results.json").read_text(encoding="utf-8"))
        for one in (*report["verdicts"], *report["equivalences"]):
            print(f"{folder.name}: {one['sentence']}", flush=True)


def pretrain(asked: argparse.Namespace, folder: Path, run: Path) -> None:
    """Pre-train on the training part; a run that is finished says so and returns at once."""
    begun = (run / "checkpoints" / "last.pt").is_file()
    medjepa(
        "pretrain",
        f"data={folder}",
        f"out={run}",
        f"model={asked.model}",
        f"seed={asked.seed}",
        # Epochs without end: the minutes decide.
        "training.num_epochs=1000000",
        f"training.max_minutes={asked.minutes:g}",
        "training.learning_rate=0.002",
        "training.lambda_reg=0.388",
        "masking.mask_ratio=0.7",
        "model.num_directions=256",
        *(["resume=true"] if begun else []),
    )


if __name__ == "__main__":
    main()
