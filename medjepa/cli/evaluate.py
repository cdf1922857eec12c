"""`medjepa evaluate`: was the pre-training worth it? One page."""

import shlex
from pathlib import Path

from medjepa.config import Config, load_config
from medjepa.errors import ConfigError

HELP = """\
usage: medjepa evaluate [file.yaml] checkpoint=RUN data=DIR label=COLUMN [key=value ...]

Judges the frozen features of a pre-trained encoder on labelled images, beside the same encoder
untrained, two descriptions that need no training, and the majority class. Every number has a 95 %
interval by bootstrap over patients; the first sentence says: helped, did not help, or cannot tell.

  checkpoint=runs/a     a run folder or a .pt file; [runs/a,runs/b] averages seeds
  data=DIR              a store, a folder of images or a CSV; several as [a,b]
  label=COLUMN          of the table beside the images; label=folder takes the folders' names
  group=COLUMN          patients (lesions, studies), who are never split; found by its usual names
  split=COLUMN          holds train (or val) and test; default: "split" if there is one;
                        split=auto makes a split by patient instead
  data.table=FILE.csv   the table, if it does not lie beside the images
  data.modality=KIND    if these are of another kind than the images of pre-training
  privacy=allow         takes DICOM whose header identifies its patient
  out=DIR               default: report/ in the (first) run folder
  seed=0                of a split made here, of resamples and of draws
  hardware.device=auto  auto, cuda, mps or cpu

Writes index.html (one self-contained page) and results.json (every number).
"""

SHORT = {
    "group": "data.group_column",
    "split": "data.split_column",
    "table": "data.table",
    "device": "hardware.device",
}
"""Names that this verb takes beside the configuration's own."""


def run(arguments: list[str]) -> int:
    """Evaluate, write the report, print it; returns the exit status."""
    if any(argument in ("-h", "--help") for argument in arguments):
        print(HELP, end="")
        return 0
    config = parse(arguments)
    from rich.console import Console

    from medjepa.checkpoint import find_checkpoint
    from medjepa.data.selection import selection_of
    from medjepa.evaluation.run import evaluate
    from medjepa.evaluation.runs import run_folder
    from medjepa.report.terminal import show
    from medjepa.report.write import write_report
    from medjepa.utils.progress import progress

    checkpoints = _several(config.checkpoint)
    data = config.data
    report = evaluate(
        checkpoints,
        data.sources,
        config.label or "",
        group=data.group_column,
        split=data.split_column,
        table=data.table,
        pattern=data.pattern,
        modality=None if data.modality == "auto" else data.kinds_of_image,
        frames_per_clip=data.frames_per_clip,
        selection=selection_of(data),
        privacy=config.privacy,
        seed=config.seed,
        num_resamples=config.evaluation.num_bootstrap,
        batch_size=config.evaluation.batch_size,
        device=config.hardware.device,
        cache_dir=data.cache_dir or None,
        num_workers=data.num_workers,
        command=without_folders(arguments),
        progress=progress,
    )
    out = Path(config.out) if config.out else run_folder(find_checkpoint(checkpoints[0])) / "report"
    written = write_report(report, out)
    show(report, Console())
    print(f"The page:    {written.page.resolve()}")
    print(f"The numbers: {written.numbers.resolve()}")
    return 0


def parse(arguments: list[str]) -> Config:
    """Read the arguments.

    Raises:
        ConfigError: an unknown key, or one of checkpoint, data and label is missing.
    """
    path = None
    if arguments and "=" not in arguments[0]:
        path, arguments = arguments[0], arguments[1:]
    config = load_config(path, [_long(argument) for argument in arguments])
    given = {
        "checkpoint": config.checkpoint,
        "data": config.data.sources,
        "label": config.label,
    }
    if missing := [name for name, value in given.items() if not value]:
        raise ConfigError(
            f"evaluate: {' and '.join(f'{name}=' for name in missing)} missing; for example "
            "medjepa evaluate checkpoint=runs/a data=DIR label=diagnosis"
        )
    return config


def without_folders(arguments: list[str]) -> str:
    """The command for the record: file names only, since folders may name people or hospitals."""
    parts = ["medjepa", "evaluate"]
    for argument in arguments:
        key, equals, value = argument.partition("=")
        names = [Path(piece.strip()).name for piece in (value or key).strip("[]").split(",")]
        shown = f"[{','.join(names)}]" if len(names) > 1 else names[0]
        parts.append(f"{key}={shown}" if equals else shown)
    return shlex.join(parts)


def _long(argument: str) -> str:
    key, equals, value = argument.partition("=")
    return SHORT.get(key, key) + equals + value


def _several(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value
