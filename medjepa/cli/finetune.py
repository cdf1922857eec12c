"""`medjepa finetune`: a pre-trained encoder learns from labels, beside what it is compared with."""

import importlib
import shlex
from collections.abc import Callable
from pathlib import Path

from medjepa.config import Config, help_text, load_config
from medjepa.errors import ConfigError

USAGE = """\
usage: medjepa finetune [file.yaml] checkpoint=RUN data=FOLDER out=DIR [key=value ...]

Trains networks on labels, each under the same budget, and tests them on patients that none of them
has seen: fine-tuned from pre-training, the same network from scratch, the frozen encoder with a
linear decoder and, for methods=[...,unet], MONAI's U-Net (pip install "medjepa[monai]").

  checkpoint=runs/a     a run folder or a .pt file
  data=FOLDER           images, volumes, or a store made by `medjepa prepare`; which of them,
                        the checkpoint says
  labels=FOLDER         label maps with the images' names, or a column of the table that names
                        them, or their names by the image's, as '{name}_mask.png'; default:
                        found beside the images (labelsTr, labels, name_seg)
  longer_side=512       pixels to which images are brought (2-D); default: as they are
  task=detect           boxes=FILE.csv (image, x, y, w, h or corners, label) or a folder of Pascal
                        VOC files; default: the folder Annotations beside the images
  task=classify         label=COLUMN, of images, volumes or clips; methods=[pretrained,scratch,
                        partial,lora,frozen], fractions=[0.01,0.1,1.0], draws=3 of each
  task=point            boxes as above, normals=FOLDER of images without lesions: do maps of what
                        is unusual point at the boxes? Nothing is trained
  split=COLUMN          of the table, says who is tested; default: "split" if there is one
  fold=test             the value that is tested; all others are for training. fold=[0,1] pools
                        several, each patient tested once; fold=all takes each value in turn
  group=COLUMN          patients, who are never split; found by its usual names
  table=FILE.csv        if it does not lie beside the images
  steps=2000            of training, for each network; or minutes=20
  fractions=[0.1,1.0]   shares of the labelled patients to train on
  out=DIR               the same command goes on where it was stopped

Writes index.html (one self-contained page), results.json (every number) and cases.csv
(boxes: classes.csv; labels: predictions.csv).

Settings and their defaults (those of finetune. go by their last name, too):"""
SECTIONS = ("out", "seed", "checkpoint", "label", "privacy", "finetune", "data", "hardware")

SHORT = {
    "group": "data.group_column",
    "split": "data.split_column",
    "table": "data.table",
    "device": "hardware.device",
    **{name: f"evaluation.{name}" for name in ("positive", "negative", "study", "clips")},
}
"""Names that this verb takes beside the configuration's own, and those of its own section."""

TASKS = {
    "segment": "medjepa.cli.finetune_segment:run",
    "detect": "medjepa.cli.finetune_detect:run",
    "point": "medjepa.cli.finetune_point:run",
    "classify": "medjepa.cli.finetune_classify:run",
}
"""Which function does a task, `module:function`: called with the settings and the command."""

_PRIVATE_KEYS = (
    "data", "data.data_dir", "table", "data.table", "data.pattern", "data.cache_dir", "labels",
    "finetune.labels", "boxes", "finetune.boxes", "normals", "finetune.normals",
)  # fmt: skip


def run(arguments: list[str]) -> int:
    """Run the verb; returns the exit status."""
    if any(argument in ("-h", "--help") for argument in arguments):
        print(help_text(USAGE, SECTIONS))
        return 0
    config = parse(arguments)
    from medjepa.data.files import check_out
    from medjepa.data.results_folder import refuse_others_results

    check_out(Path(config.out))
    refuse_others_results(Path(config.out), "finetune")
    module, function = TASKS[config.finetune.task].split(":")
    task: Callable[[Config, str], int] = getattr(importlib.import_module(module), function)
    return task(config, for_the_record(arguments))


def parse(arguments: list[str]) -> Config:
    """Read the arguments.

    Raises:
        ConfigError: an unknown key, a missing one, or a task that is not there.
    """
    files = [argument for argument in arguments if "=" not in argument]
    if len(files) > 1:
        raise ConfigError(f"the command line: one settings file, got {' and '.join(files)}")
    overrides = [_long(argument) for argument in arguments if "=" in argument]
    config = load_config(files[0] if files else None, overrides)
    given = {"checkpoint": config.checkpoint, "data": config.data.sources, "out": config.out}
    if missing := [name for name, value in given.items() if not value]:
        raise ConfigError(
            f"finetune: {' and '.join(f'{name}=' for name in missing)} missing; for example "
            "medjepa finetune checkpoint=runs/a data=DIR labels=DIR out=runs/a-organs steps=2000"
        )
    if config.finetune.task not in TASKS:
        raise ConfigError(
            f"finetune.task: {config.finetune.task} is not there; one of {', '.join(TASKS)}"
        )
    return config


def for_the_record(arguments: list[str]) -> str:
    """The command with file names only, and of the images not even that.

    Folders, and tables beside them, may be called after a hospital or a patient.
    """
    parts = ["medjepa", "finetune"]
    for argument in arguments:
        key, equals, value = argument.partition("=")
        names = [Path(piece.strip()).name for piece in (value or key).strip("[]").split(",")]
        shown = f"[{','.join(names)}]" if value.startswith("[") else names[0]
        parts.append(f"{key}={'...' if key in _PRIVATE_KEYS else shown}" if equals else shown)
    return shlex.join(parts)


def _long(argument: str) -> str:
    from medjepa.config.build import known_keys

    key, equals, value = argument.partition("=")
    own = f"finetune.{key}"
    return SHORT.get(key, own if own in known_keys() else key) + equals + value
