"""`scripts/pretrain.py`: the flags of the guide; the work is that of `medjepa pretrain`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from medjepa.config import load_config
from medjepa.errors import MedJEPAError

# Flag, setting, default, meaning.
FLAGS: tuple[tuple[str, str, object, str], ...] = (
    ("dataset", "data.dataset", "", "name of the data set; decides how images may be changed"),
    ("data_dir", "data.data_dir", "data", "folder of images"),
    ("file_extension", "data.pattern", "", "only files that end so (.jpg); empty: all images"),
    ("image_size", "model.image_size", 224, "pixels of an image"),
    ("patch_size", "model.patch_size", 16, "pixels of a patch"),
    ("embed_dim", "model.embed_dim", 768, "length of an embedding"),
    ("encoder_depth", "model.encoder_depth", 12, "blocks of the encoder"),
    ("predictor_depth", "model.predictor_depth", 6, "blocks of the predictor"),
    ("mask_ratio", "masking.mask_ratio", 0.75, "share of hidden patches"),
    ("batch_size", "training.batch_size", 64, "images per step"),
    ("epochs", "training.num_epochs", 100, "passes over the images"),
    ("lr", "training.learning_rate", 0.001, "peak learning rate"),
    ("lambda_reg", "training.lambda_reg", 1.0, "weight of SIGReg; 1 is the published setting"),
    ("num_workers", "data.num_workers", 4, "processes that load images"),
    ("log_every", "logging.log_every", 50, "steps between two records"),
    ("save_every", "logging.save_every", 5, "epochs between two kept checkpoints"),
    ("checkpoint_dir", "out", "checkpoints", "folder to write; an earlier one is moved aside"),
)
MODALITIES = {
    "ham": "skin", "isic": "skin", "pcam": "histology", "camelyon": "histology", "aptos": "retina",
    "chest": "xray", "cxr": "xray", "brats": "mri",
}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Train as the flags say; returns the exit status."""
    flags = vars(parser().parse_args(argv))
    out, aside = Path(flags["checkpoint_dir"]), None
    try:
        config = load_config(overrides=overrides(flags))
        from medjepa.training.files import move_aside
        from medjepa.training.run import pretrain

        if out.is_dir() and any(out.iterdir()):
            aside = move_aside(out)
            print(f"an earlier run moved to {aside}", file=sys.stderr)
        result = pretrain(config)
    except MedJEPAError as error:
        if aside is not None and not out.exists():
            aside.rename(out)
            print(f"nothing took its place: it is back at {out}", file=sys.stderr)
        print(f"pretrain.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        again = f"medjepa pretrain out={out} resume=true"
        print(f"\npretrain.py: stopped. To go on: {again}", file=sys.stderr)
        return 130
    (out / "training_history.json").write_text(json.dumps(result.history, indent=2) + "\n")
    print(f"{result.num_steps} steps: {result.checkpoint}")
    return 0


def parser() -> argparse.ArgumentParser:
    """Build the parser of the guide's flags."""
    built = argparse.ArgumentParser(
        description="Pre-train an encoder on images without labels, as `medjepa pretrain` does."
    )
    for flag, _, default, meaning in FLAGS:
        built.add_argument(
            f"--{flag}", type=type(default), default=default, help=f"{meaning} (%(default)s)"
        )
    return built


def overrides(flags: dict[str, object]) -> list[str]:
    """Translate the flags to settings."""
    values = {key: flags[flag] for flag, key, _, _ in FLAGS}
    extension = str(flags["file_extension"])
    values["data.pattern"] = f"*{extension}" if extension else "none"
    values["model.encoder_heads"] = heads_for(int(str(flags["embed_dim"])))
    # The guide's folder of checkpoints is the run folder itself.
    values["logging.checkpoint_dir"] = "."
    name = str(flags["dataset"]).lower()
    values["data.modality"] = next((m for part, m in MODALITIES.items() if part in name), "auto")
    return [f"{key}={value}" for key, value in values.items()]


def heads_for(embed_dim: int) -> int:
    """Return attention heads of 64 features, as all published sizes have, or what divides."""
    if embed_dim % 64 == 0:
        return embed_dim // 64
    return next(heads for heads in range(12, 0, -1) if embed_dim % heads == 0)
