"""`medjepa pretrain`: images without labels in, a run folder out."""

from pathlib import Path

from medjepa.config import Config, help_text, load_config
from medjepa.errors import ConfigError

USAGE = """\
usage: medjepa pretrain [file.yaml] data=FOLDER out=runs/NAME model=vit_ti8_64 [key=value ...]

Pre-trains an encoder on images without labels. `data` is a folder of images, a table (CSV) that
names them, or a store made by `medjepa prepare`; images that a table marks for testing are left
out. Ctrl-C stops after the step; `medjepa pretrain out=runs/NAME resume=true` goes on.

`method=` trains the same encoder in another way, for comparison: supervised (label=COLUMN; the
training part of a table's split alone), mae, simclr, vicreg, dino or ijepa.

Settings and their defaults (out=, model=, data= and method= are short for the most used ones):"""
SECTIONS = (
    "out", "resume", "seed", "privacy", "model", "masking", "views", "mae", "simclr",
    "vicreg", "dino", "ijepa", "training", "label", "data", "hardware", "logging",
)  # fmt: skip


def run(arguments: list[str]) -> int:
    """Run the verb; returns the exit status."""
    if any(argument in ("-h", "--help") for argument in arguments):
        print(help_text(USAGE, SECTIONS))
        return 0
    config = read_config(arguments)
    from medjepa.training.run import pretrain
    from medjepa.utils.progress import time_left

    result = pretrain(config)
    if not result.is_first:
        return 0
    print(
        f"{result.num_steps} steps in {time_left(result.seconds)}: {result.checkpoint}\n"
        f"next: medjepa evaluate checkpoint={result.out} data=... label=..."
    )
    return 0


def read_config(arguments: list[str]) -> Config:
    """Build the configuration from a settings file and key=value arguments.

    A continued run takes its own settings where no file is given.
    """
    from medjepa.models.registry import ENCODERS

    files = [argument for argument in arguments if "=" not in argument]
    overrides = [argument for argument in arguments if "=" in argument]
    if len(files) > 1:
        raise ConfigError(f"the command line: one settings file, got {' and '.join(files)}")
    path = Path(files[0]) if files else _own_settings(overrides)
    return load_config(path, overrides, ENCODERS)


def _own_settings(overrides: list[str]) -> Path | None:
    given = dict(override.partition("=")[::2] for override in overrides)
    if given.get("resume", "").lower() not in ("true", "yes", "on", "1"):
        return None
    path = Path(given.get("out", "")) / "config.yaml"
    return path if path.is_file() else None
