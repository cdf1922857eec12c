"""`medjepa demo`: the whole job on built-in synthetic images, by the verbs a user would type."""

import json
import shlex
import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_type_hints

from medjepa import __version__
from medjepa.cli.demo_kinds import (
    DEFAULTS,
    IMAGES_PER_PATIENT,
    PREPARE,
    PRETRAIN,
    WHAT,
    make,
    version_of,
)
from medjepa.cli.main import load
from medjepa.errors import ConfigError

HELP = """\
usage: medjepa demo [kind=image] [out=runs/demo] [seed=0] [key=value ...]

Makes synthetic images (no patient, no network), pre-trains an encoder on them without labels, and
evaluates it. Each step prints the command that does the same on your own images. A stopped demo
goes on when it is called again, a finished one is shown again.

  kind=image         radiographs, about 7 minutes on 2 cores;
                     volume (a head in 3-D) or clip (a beating heart): about a minute
  out=runs/demo      folder for everything (runs/demo-volume, runs/demo-clip); one made with other
                     keys is moved aside to runs/demo.1
  seed=0             decides images, training and evaluation
  patients=500       with 4 images each (160 with 2 volumes, 240 with 2 clips)
  epochs=50          of pre-training, at most (24, 16)
  minutes=4.5        of pre-training, at most (0.6): on a slow machine there are fewer steps
  model=vit_ti8_64   size of the encoder, a name from the registry (vit3d_ti10_40, clip_ti16_64)
"""
STATE = "demo.json"
# What each step leaves behind; a finished step whose product has been deleted is done again.
PRODUCTS = {
    "images": "images/labels.csv",
    "prepare": "store/index.json",
    "pretrain": "run/checkpoints/last.pt",
    "evaluate": "run/report/results.json",
}
STEPS = {
    "prepare": "decode them once, into a store",
    "pretrain": "pre-train an encoder, without labels",
    "evaluate": "was it worth it? the frozen encoder against four baselines, by patients",
}
POSITIVE = ("patients", "epochs", "minutes")


@dataclass(frozen=True, kw_only=True)
class DemoSettings:
    """What is made and how long it is trained; the defaults are those of images."""

    kind: Literal["image", "volume", "clip"] = "image"
    out: str = "runs/demo"
    seed: int = 0
    patients: int = 500
    epochs: int = 50
    minutes: float = 4.5
    model: str = "vit_ti8_64"


@dataclass
class DemoFolder:
    """The demo's folder and which of its steps are finished, kept in a file there."""

    path: Path
    settings: DemoSettings
    finished: list[str] = field(default_factory=list)

    def has(self, step: str) -> bool:
        """Whether a step is finished and what it made is still there."""
        return step in self.finished and (self.path / PRODUCTS[step]).exists()

    def finish(self, step: str) -> None:
        """Note that a step need not be done again."""
        self.finished.append(step)
        self.save()

    def save(self) -> None:
        """Write the state; renamed into place, so that an interrupted write leaves the old one."""
        text = json.dumps({**identity(self.settings), "finished": self.finished}, indent=2)
        partial = self.path / f"{STATE}.partial"
        partial.write_text(text + "\n", encoding="utf-8")
        partial.replace(self.path / STATE)


def run(arguments: list[str]) -> int:
    """Make images, decode, pre-train and evaluate; returns the exit status."""
    if any(argument in ("-h", "--help") for argument in arguments):
        print(HELP, end="")
        return 0
    settings = parse(arguments)
    folder = open_folder(Path(settings.out), settings)
    if all(folder.has(step) for step in PRODUCTS):
        print(f"This demo is finished. For a new one: another out=, or delete {folder.path}")
    begin = time.monotonic()
    if not folder.has("images"):
        announce(1, f"make {WHAT[settings.kind]}, and a table of labels")
        make_images(folder)
        folder.finish("images")
    for number, (verb, what) in enumerate(STEPS.items(), start=2):
        if folder.has(verb):
            continue
        verb_arguments = arguments_for(verb, folder)
        announce(number, what)
        print(f"      $ {shlex.join(['medjepa', verb, *verb_arguments])}\n", flush=True)
        status = load(verb)(verb_arguments)
        if status:
            return status
        folder.finish(verb)
    conclude(folder)
    print(f"This call took {(time.monotonic() - begin) / 60:.1f} minutes.")
    return 0


def parse(arguments: list[str]) -> DemoSettings:
    """Read the demo's few keys.

    Raises:
        ConfigError: an unknown key, or a value of another type or out of its range.
    """
    from medjepa.config.build import Value, convert

    kinds = get_type_hints(DemoSettings)
    values: dict[str, Any] = {}
    for argument in arguments:
        key, equals, given = argument.partition("=")
        if not equals or key not in kinds:
            known = ", ".join(f"{name}=" for name in kinds)
            raise ConfigError(f"medjepa demo takes {known}; got {argument!r}")
        values[key] = convert(Value(given, "the command line"), kinds[key], key)
        if key in POSITIVE and values[key] <= 0:
            raise ConfigError(f"{key}: must be positive, got {given}")
    return DemoSettings(**{**DEFAULTS[values.get("kind", "image")], **values})


def identity(settings: DemoSettings) -> dict[str, object]:
    """Return what must be equal for an earlier demo to be gone on with."""
    version = version_of(settings.kind)
    content: dict[str, object] = {"medjepa": __version__, "images": version, **asdict(settings)}
    del content["out"]  # the folder may be moved
    if settings.kind == "image":
        del content["kind"]  # what demos wrote before there were others
    return content


def open_folder(path: Path, settings: DemoSettings) -> DemoFolder:
    """Make the folder, go on in it, or move one with other settings aside.

    Raises:
        ConfigError: the folder holds something that is not a demo's.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        earlier = read_state(path)
        if earlier is None:
            raise ConfigError(
                f"out={path}: holds something else; give a folder that is new or empty"
            )
        finished = earlier.pop("finished", [])
        if earlier == identity(settings) and isinstance(finished, list):
            return DemoFolder(path, settings, finished)
        aside = next(
            p for n in range(1, 10_000) if not (p := path.with_name(f"{path.name}.{n}")).exists()
        )
        path.rename(aside)
        print(f"An earlier demo with other settings was moved to {aside}")
    path.mkdir(parents=True, exist_ok=True)
    folder = DemoFolder(path, settings)
    folder.save()
    return folder


def read_state(path: Path) -> dict[str, object] | None:
    """Return what the demo wrote about itself, None if there is nothing of the kind."""
    try:
        content = json.loads((path / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def make_images(folder: DemoFolder) -> None:
    """Write the synthetic data set."""
    from medjepa.utils.progress import progress

    settings = folder.settings
    num_images = settings.patients * IMAGES_PER_PATIENT[settings.kind]
    with progress(f"making {settings.kind}s", num_images) as advance:
        make(
            settings.kind,
            folder.path / "images",
            patients=settings.patients,
            seed=settings.seed,
            progress=advance,
        )


def arguments_for(verb: str, folder: DemoFolder) -> list[str]:
    """Return what a user would type after the verb."""
    out, settings = folder.path, folder.settings
    run_folder = out / "run"
    if verb == "prepare":
        return [
            f"data={out / 'images' / 'labels.csv'}",
            f"out={out / 'store'}",
            *PREPARE[settings.kind],
        ]
    if verb == "pretrain":
        last = run_folder / "checkpoints" / "last.pt"
        if run_folder.exists() and not last.exists():
            shutil.rmtree(run_folder)  # stopped before its first checkpoint: nothing to go on from
        arguments = [
            f"data={out / 'store'}",
            f"out={run_folder}",
            f"model={settings.model}",
            f"training.num_epochs={settings.epochs}",
            f"training.max_minutes={settings.minutes:g}",
            *PRETRAIN[settings.kind],
            f"seed={settings.seed}",
        ]
        return [*arguments, "resume=true"] if last.exists() else arguments
    return [f"checkpoint={run_folder}", f"data={out / 'store'}", "label=label"]


def announce(number: int, what: str) -> None:
    """Say which step begins."""
    print(f"\n[{number}/{len(PRODUCTS)}] {what}", flush=True)


def last_step(metrics: Path) -> tuple[int, int]:
    """(step, epoch) of a run's last record; zeros where there is none."""
    if not metrics.is_file():
        return 0, 0
    records = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    return (records[-1]["step"], records[-1]["epoch"]) if records else (0, 0)


def conclude(folder: DemoFolder) -> None:
    """Repeat the verdict and say where the report is."""
    results = json.loads((folder.path / PRODUCTS["evaluate"]).read_text(encoding="utf-8"))
    print(f"\nOn synthetic images: {results['verdict']['sentence']}")
    step, epoch = last_step(folder.path / "run" / "metrics.jsonl")
    settings = folder.settings
    if 0 < epoch < settings.epochs:
        print(
            f"This machine had time for {step} steps of pre-training ({epoch} of {settings.epochs} "
            f"epochs in minutes={settings.minutes:g}); the fewer, the likelier it did not help. "
            f"More: medjepa demo kind={settings.kind} out={folder.path}-longer "
            f"minutes={10 * settings.minutes:g}"
        )
    print(f"The report: {(folder.path / 'run' / 'report' / 'index.html').resolve()}")
    print("Next, your own images: docs/how-to/own-data.md")
