"""`medjepa select`: which checkpoint, where there are no labels?"""

from pathlib import Path
from typing import TYPE_CHECKING

from medjepa.cli.evaluate import SHORT, without_folders
from medjepa.config import Config, load_config
from medjepa.config.build import known_keys, unknown_key
from medjepa.config.load import SHORTHANDS, read_yaml
from medjepa.errors import ConfigError

if TYPE_CHECKING:
    from medjepa.evaluation.select_run import Asked

HELP = """\
usage: medjepa select [file.yaml] runs=[RUN,RUN] data=DIR [key=value ...]

Scores checkpoints without labels: last training loss, RankMe, LiDAR, alignment and uniformity of
their embeddings, on the same images in the same views, which are drawn as in pre-training. Says
which checkpoint each score prefers, and whether they agree. With label= a linear probe of every
checkpoint tells whether a score orders them as the probe does.

  runs=[runs/a,runs/b]  run folders, names of runs in runs/, or .pt files
  data=DIR              a store, a folder of images or a CSV; several as [a,b]
  checkpoints=all       of a run folder every kept checkpoint; last: last.pt; best: best_model.pt
  images=500            most images that are embedded; of the validation part, else of all that is
                        not for testing
  num_views=10          of each image
  views.full_scale=[LOW,HIGH], views.strength=NUMBER
                        views where the checkpoints were trained on different ones
  label=COLUMN          of the table: check the scores (a look at the test part, and counted so)
  positive=VALUE        this value (or [a,b]) against all others; negative=[c]: against these only
  group=COLUMN          patients, who are never split; found by its usual names
  split=COLUMN          holds train, val and test; default: "split" if there is one; split=auto
                        makes a split by patient instead
  data.table=FILE.csv   the table, if it does not lie beside the images
  data.modality=KIND    if these are of another kind than the images of pre-training
  privacy=allow         takes DICOM whose header identifies its patient
  out=DIR               default: select/ in the first run's folder
  seed=0                of images, views and resamples
  hardware.device=auto  auto, cuda, mps or cpu

Writes index.html (one self-contained page) and select.json (every number).
"""
OWN = ("checkpoints", "images", "num_views")
KEEP = ("all", "last", "best")
_SHORT = {**SHORT, "runs": "checkpoint"}


def run(arguments: list[str]) -> int:
    """Score, write the page, print it; returns the exit status."""
    if any(argument in ("-h", "--help") for argument in arguments):
        print(HELP, end="")
        return 0
    config, given, own_views = parse(arguments)
    from rich.console import Console

    from medjepa.data.files import check_out
    from medjepa.data.results_folder import refuse_others_results
    from medjepa.evaluation.candidates import run_of
    from medjepa.evaluation.select_run import select
    from medjepa.report.select_page import show_choice, write_choice
    from medjepa.utils.progress import progress

    runs = (config.checkpoint,) if isinstance(config.checkpoint, str) else config.checkpoint
    out = Path(config.out) if config.out else run_of(runs[0]) / "select"
    check_out(out)
    refuse_others_results(out, "select")
    command = without_folders(arguments).replace("medjepa evaluate", "medjepa select", 1)
    choice = select(config, asked(given, own_views), command=command, progress=progress)
    page = write_choice(choice, out)
    show_choice(choice, Console())
    print(f"The page:    {page.resolve()}")
    print(f"The numbers: {(out / 'select.json').resolve()}")
    return 0


def parse(arguments: list[str]) -> tuple[Config, dict[str, str], bool]:
    """Read the arguments: the settings, this verb's own, and whether they say what views to draw.

    Raises:
        ConfigError: an unknown key, or one of runs and data is missing.
    """
    path = None
    if arguments and "=" not in arguments[0]:
        path, arguments = arguments[0], arguments[1:]
    own, rest = {}, []
    known = dict.fromkeys([*known_keys(), *_SHORT, *SHORTHANDS, *OWN])
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if key in OWN:
            own[key] = value
            continue
        if equals and key not in known:
            raise unknown_key(key, known, "the command line")
        rest.append(_SHORT.get(key, key) + equals + value)
    config = load_config(path, rest)
    given = {"runs": config.checkpoint, "data": config.data.sources}
    if missing := [name for name, value in given.items() if not value]:
        raise ConfigError(
            f"select: {' and '.join(f'{name}=' for name in missing)} missing; for example "
            "medjepa select runs=[runs/a,runs/b] data=DIR"
        )
    keys = [argument.partition("=")[0] for argument in rest]
    keys += list(read_yaml(Path(path))) if path else []
    return config, own, any(key in ("views.full_scale", "views.strength") for key in keys)


def asked(given: dict[str, str], own_views: bool) -> "Asked":
    """This verb's own settings.

    Raises:
        ConfigError: one makes no sense.
    """
    from medjepa.evaluation.select_run import Asked

    keep = given.get("checkpoints", "all")
    if keep not in KEEP:
        raise ConfigError(f"checkpoints: one of {', '.join(KEEP)}, got {keep!r}")
    numbers = {}
    for key in ("images", "num_views"):
        if key in given:
            if not given[key].isdecimal():
                raise ConfigError(f"{key}: a whole number, got {given[key]!r}")
            numbers[key] = int(given[key])
    return Asked(keep=keep, own_views=own_views, **numbers)  # type: ignore[arg-type]
