"""`medjepa evaluate`: was the pre-training worth it? One page."""

import shlex
from pathlib import Path

from medjepa.config import Config, load_config
from medjepa.config.columns import COLUMN_KEYS, column_names
from medjepa.errors import ConfigError

HELP = """\
usage: medjepa evaluate [file.yaml] checkpoint=RUN data=DIR label=COLUMN [key=value ...]

Judges the frozen features of a pre-trained encoder on labelled images, volumes or clips, beside the
same encoder untrained, two descriptions that need no training, and the majority class. Every number
has a 95 % interval by bootstrap over patients; the first sentence says: helped, did not help, or
cannot tell.

  checkpoint=runs/a     a run folder or a .pt file; [runs/a,runs/b] averages seeds
  data=DIR              a store, a folder of images or a CSV; several as [a,b]
  label=COLUMN          of the table beside the images; label=folder takes the folders' names;
                        a name with a comma: 'label=["a,b"]'
  target=KIND           what the label is: classes (default), multilabel (label=COLUMN of values
                        like a|b, or label=a,b of 0 and 1), ordinal (levels=[low,...,high] if its
                        grades are no numbers), regression, survival (label=time,event)
  features=last4        mean patches of the last four blocks; default: of the last
  class_weight=balanced linear probe in which each class counts alike
  few_shot=true         also 1 to 20 labelled images a class, 1,000 episodes each
  positive=VALUE        this value (or [a,b]) against all others; negative=[c]: against these only
  group=COLUMN          patients (lesions, studies), who are never split; found by its usual names;
                        group=[site,patient]: patients that are numbered anew at each site
  split=COLUMN          holds train (or val) and test; default: "split" if there is one;
                        split=auto makes a split by patient instead
  num_splits=1          so many splits by patient, averaged: 20 and more where patients are few
  shortcut=COLUMN       says where or how an image was taken (or [a,b]): if it gives the label away,
                        the verdict is "cannot tell"; default: found by name; shortcut=none
  study=COLUMN          clips are averaged to studies; default: to patients
  slices=runs/2d        volumes and clips: a 2-D encoder over all planes as baseline;
  inflated=runs/2d      the same encoder inflated to volumes
  timm=resnet50.a1_in1k an encoder that others trained, as baseline (needs medjepa[timm]);
  timm_weights=FILE     its model.safetensors, where there is no network
  attentive=true        also an attentive probe on the tokens
  across=site           learn at one site and test at another: data=[a,b], or a column
  corruptions=true      also under noise, blur, ... at five severities
  ood=DIR               can images of another kind be told from these?
  data.table=FILE.csv   the table, if it does not lie beside the images
  data.modality=KIND    if these are of another kind than the images of pre-training
  privacy=allow         takes DICOM whose header identifies its patient
  out=DIR               default: report/ in the (first) run folder
  seed=0                of a split made here, of resamples and of draws
  hardware.device=auto  auto, cuda, mps or cpu

Writes index.html (one self-contained page), results.json (every number) and, of volumes and clips,
study_predictions.csv (a pseudonym and the mean prediction for each study).
"""

SHORT = {
    "group": "data.group_column",
    "split": "data.split_column",
    "table": "data.table",
    "device": "hardware.device",
    **{
        name: f"evaluation.{name}"
        for name in (
            "target",
            "levels",
            "features",
            "class_weight",
            "few_shot",
            "positive",
            "negative",
            "num_splits",
            "shortcut",
            "study",
            "clips",
            "overlap",
            "attentive",
            "slices",
            "inflated",
            "timm",
            "timm_weights",
            "across",
            "corruptions",
            "ood",
        )
    },
}
"""Names that this verb takes beside the configuration's own."""


_OF_THE_IMAGES = (
    "data", "data.data_dir", "table", "data.table", "data.pattern", "data.cache_dir",
)  # fmt: skip


def run(arguments: list[str]) -> int:
    """Evaluate, write the report, print it; returns the exit status."""
    if any(argument in ("-h", "--help") for argument in arguments):
        print(HELP, end="")
        return 0
    config = parse(arguments)
    from rich.console import Console

    from medjepa.checkpoint import find_checkpoint
    from medjepa.data.files import check_out
    from medjepa.data.results_folder import refuse_others_results
    from medjepa.data.selection import selection_of
    from medjepa.evaluation.run import evaluate
    from medjepa.evaluation.runs import run_folder
    from medjepa.report.terminal import show
    from medjepa.report.write import write_report
    from medjepa.utils.progress import progress

    checkpoints = _several(config.checkpoint)
    out = Path(config.out) if config.out else run_folder(find_checkpoint(checkpoints[0])) / "report"
    check_out(out)
    refuse_others_results(out, "evaluate")
    data = config.data
    report = evaluate(
        checkpoints,
        data.sources,
        label_columns(config.label or ""),
        positive=config.evaluation.positives or None,
        negative=config.evaluation.negatives or None,
        group=data.group_column,
        split=data.split_column,
        table=data.table,
        image_column=data.image_column,
        pattern=data.pattern,
        modality=None if data.modality == "auto" else data.kinds_of_image,
        frames_per_clip=data.frames_per_clip,
        selection=selection_of(data),
        privacy=config.privacy,
        num_splits=config.evaluation.num_splits,
        shortcuts=config.evaluation.shortcuts,
        study=config.evaluation.study,
        clips=config.evaluation.clips,
        overlap=config.evaluation.overlap,
        attentive=config.evaluation.attentive,
        slices=config.evaluation.slices,
        inflated=config.evaluation.inflated,
        seed=config.seed,
        num_resamples=config.evaluation.num_bootstrap,
        batch_size=config.evaluation.batch_size,
        device=config.hardware.device,
        cache_dir=data.cache_dir or None,
        num_workers=data.num_workers,
        command=without_folders(arguments),
        settings=config.evaluation,
        progress=progress,
    )
    written = write_report(report, out)
    show(report, Console())
    print(f"The page:    {written.page.resolve()}")
    print(f"The numbers: {written.numbers.resolve()}")
    if written.studies is not None:
        print(f"By study:    {written.studies.resolve()}")
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


def label_columns(label: str) -> str | tuple[str, ...]:
    """The columns of `label=a,b` or `label=[a,b]`; a single one, as of `["a,b"]`, by itself."""
    names = column_names(label)
    return names if len(names) > 1 else names[0]


def without_folders(arguments: list[str]) -> str:
    """The command for the record: file names only, and of the images not even that.

    Folders, and tables beside them, may be called after a hospital or a patient.
    """
    parts = ["medjepa", "evaluate"]
    for argument in arguments:
        key, equals, value = argument.partition("=")
        names = [Path(piece.strip()).name for piece in (value or key).strip("[]").split(",")]
        shown = f"[{','.join(names)}]" if len(names) > 1 else names[0]
        if key in _OF_THE_IMAGES:
            shown = "..."
        elif SHORT.get(key, key) in COLUMN_KEYS:
            shown = value  # a slash or a comma is part of a column's name
        parts.append(f"{key}={shown}" if equals else shown)
    return shlex.join(parts)


def _long(argument: str) -> str:
    key, equals, value = argument.partition("=")
    return SHORT.get(key, key) + equals + value


def _several(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value
