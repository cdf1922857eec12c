"""The frozen table: every protocol on every real set, one page; goes on if stopped.

    python benchmarks/frozen_table.py DATA OUT [NAME or NAME=FOLDER ...] [--minutes 6 | --steps 300]
        [--model vit_ti8_64] [--seed 0] [--with key=value ...]

DATA holds the sets of `frozen_sets.SETS` under their names; NAME=FOLDER takes one from elsewhere.
Each set's encoder is pre-trained on its training part alone, for `--minutes` or, so that another
machine makes the same table, for `--steps`; then the frozen encoder is judged by `medjepa evaluate`
and, with decoders, by `medjepa finetune`. What is finished is not done again. A stage that fails is
named, the others go on, and the exit status is 1. `--with` goes to every verb.

With `--minutes 6` the seven sets pre-train for 42 minutes together. Of what follows was measured,
in seconds of one core: all protocols on 1,000 to 1,400 radiographs 49 and 55, from one set to
another and back 42, fourteen findings 16, and the same 55 with eight corruptions of 284 images
104. 100 steps of `vit_ti8_64` with 64 images took 72 to 121. Every stage's seconds:
docs/explanation/measured.md.

Written: OUT/index.html, OUT/table.csv, OUT/table.json (with the seconds of each stage, by the wall
and of the processor), OUT/pages/STAGE/index.html, OUT/logs/STAGE.log.
"""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from frozen_page import write_table_files
from frozen_rows import rows_of
from frozen_sets import SETS, NotThere, source
from frozen_stages import Stage, plan

STOPPED = 130
"""Exit status of what Ctrl-C has stopped."""
WITHOUT_EFFECT = ("data.num_workers=", "data.cache_dir=", "logging.")
"""Settings that change no number, so that a table goes on with others of them."""


def main() -> int:
    """Do what is not done yet; write the table after every stage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("sets", nargs="*", metavar="NAME or NAME=FOLDER")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=6)
    length.add_argument("--steps", type=int)
    parser.add_argument("--model", default="vit_ti8_64")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--with", dest="further", nargs="*", default=[], metavar="key=value")
    asked = parser.parse_intermixed_args()
    folders = chosen_folders(parser, asked)
    asked.out.mkdir(parents=True, exist_ok=True)
    sources: dict[str, tuple[str, ...]] = {}
    failures: dict[str, str] = {}
    for name, folder in folders.items():
        try:
            sources[name] = source(name, folder, asked.out.resolve(), asked.seed)
        except NotThere as error:
            failures[name] = str(error)
            print(f"{name}: not measured: {error}", flush=True)
    stages = [one for one in plan(asked) if set(one.sets) <= set(folders)]
    for stage in stages:
        missing = [name for name in (*stage.sets, stage.run) if name and name in failures]
        if missing:
            failures[stage.name] = f"not measured: {missing[0]} failed"
        else:
            failure = do(stage, sources, asked)
            if failure:
                failures[stage.name] = failure
                print(
                    f"{stage.name}: failed: {failure}",
                    *last_words(stage, asked),
                    sep="\n  ",
                    flush=True,
                )
        collect(stages, failures, asked)
    print(f"The table: {asked.out / 'index.html'}")
    return 1 if failures else 0


def chosen_folders(parser: argparse.ArgumentParser, asked: argparse.Namespace) -> dict[str, Path]:
    """Where each set lies that was asked for."""
    folders = {}
    for text in asked.sets or SETS:
        name, equals, folder = text.partition("=")
        if name not in SETS:
            parser.error(f"no set {name!r}; one of {', '.join(SETS)}")
        folders[name] = (Path(folder) if equals else asked.data / name).resolve()
    return folders


def do(stage: Stage, sources: dict[str, tuple[str, ...]], asked: argparse.Namespace) -> str:
    """Run a stage that is not finished; "" where it is well, else what went wrong."""
    record = asked.out / "costs" / f"{stage.name}.json"
    arguments = command(stage, sources, asked)
    before: dict[str, Any] = json.loads(record.read_text("utf-8")) if record.is_file() else {}
    if before and decisive(before["arguments"]) != decisive(arguments):
        return "OUT holds it with other settings: name another OUT"
    if before.get("finished"):
        return ""
    resumed = stage.verb == "pretrain" and any((asked.out / "runs" / stage.name).rglob("last.pt"))
    print(f"{stage.name}: {stage.verb}", flush=True)
    log = asked.out / "logs" / f"{stage.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    start, used = time.monotonic(), _processor_seconds()
    status: int | None = None
    try:
        status = run_command([*arguments, *(["resume=true"] if resumed else [])], log)
    finally:
        # A stop with Ctrl-C counts too: the seconds are those of all attempts together.
        record.parent.mkdir(parents=True, exist_ok=True)
        cost = {
            "arguments": arguments,
            "finished": status == 0,
            "wall_seconds": before.get("wall_seconds", 0) + time.monotonic() - start,
            "processor_seconds": before.get("processor_seconds", 0) + _processor_seconds() - used,
        }
        record.write_text(json.dumps(cost, indent=1), encoding="utf-8")
    if status == 0:
        print(f"{stage.name}: {cost['wall_seconds']:.0f} s by the wall, "
              f"{cost['processor_seconds']:.0f} s of the processor", flush=True)  # fmt: skip
        return ""
    return f"exit status {status}, see logs/{log.name}"


def decisive(arguments: list[str]) -> list[str]:
    """The arguments that a result depends on: those of how fast it is made are left out."""
    return [one for one in arguments if not one.startswith(WITHOUT_EFFECT)]


def run_command(arguments: list[str], log: Path) -> int:
    """Run `medjepa`, its words into a log; returns the exit status.

    Raises:
        KeyboardInterrupt: Ctrl-C or an end was asked for; the command has saved what it had.
    """
    with (
        log.open("a", encoding="utf-8") as file,
        subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "medjepa", *arguments],
            env={"OMP_WAIT_POLICY": "PASSIVE", **os.environ},
            stdout=file,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        try:
            status = process.wait()
        except KeyboardInterrupt:
            process.wait()  # it heard Ctrl-C too, and saves
            raise
        finally:
            signal.signal(signal.SIGTERM, before)
    if status in (STOPPED, -signal.SIGTERM):
        raise KeyboardInterrupt
    return status


def last_words(stage: Stage, asked: argparse.Namespace) -> list[str]:
    """The end of a stage's log, for the terminal: it may name folders, which no page does."""
    log = asked.out / "logs" / f"{stage.name}.log"
    text = log.read_text("utf-8", errors="replace") if log.is_file() else ""
    return [line for line in text.splitlines() if line.strip()][-3:]


def command(
    stage: Stage, sources: dict[str, tuple[str, ...]], asked: argparse.Namespace
) -> list[str]:
    """The stage's verb and arguments."""
    out = asked.out.resolve()
    images = sources[stage.sets[0]]
    arguments = list(stage.arguments)
    if stage.name.endswith("-across"):
        both = ",".join(sources[name][0].removeprefix("data=") for name in stage.sets)
        images = (f"data=[{both}]",)
    # The folder of other images is known only now.
    arguments = [
        f"ood={sources[stage.sets[1]][0].removeprefix('data=')}" if one.startswith("ood=") else one
        for one in arguments
    ]
    if stage.verb == "pretrain":
        place = [f"out={out / 'runs' / stage.name}"]
    else:
        place = [f"checkpoint={out / 'runs' / stage.run}", f"out={out / 'pages' / stage.name}"]
    return [stage.verb, *images, *arguments, *place, f"seed={asked.seed}", *asked.further]


def collect(stages: list[Stage], failures: dict[str, str], asked: argparse.Namespace) -> None:
    """Gather what is finished into the table."""
    rows, heads = [], []
    for stage in stages:
        record = asked.out / "costs" / f"{stage.name}.json"
        cost: dict[str, Any] = json.loads(record.read_text("utf-8")) if record.is_file() else {}
        results = asked.out / "pages" / stage.name / "results.json"
        there = bool(cost.get("finished")) and results.is_file()
        found = json.loads(results.read_text("utf-8")) if there else None
        if found is not None:
            rows += rows_of(found, set_name=" + ".join(stage.sets[:1]), stage=stage.name)
        heads.append(
            {
                "stage": stage.name,
                "title": stage.title,
                "verb": stage.verb,
                "sets": stage.sets,
                "encoder": stage.run or stage.name,
                "finished": bool(cost.get("finished")),
                "failure": failures.get(stage.name, ""),
                "wall_seconds": cost.get("wall_seconds"),
                "processor_seconds": cost.get("processor_seconds"),
                "verdict": found["verdict"] if found is not None else None,
            }
        )
    write_table_files(asked.out, rows, heads, length=_length(asked), seed=asked.seed)


def _length(asked: argparse.Namespace) -> str:
    size = f"{asked.model}, "
    return size + (f"{asked.minutes:g} minutes" if asked.steps is None else f"{asked.steps} steps")


def _processor_seconds() -> float:
    """Of all commands that were run and are over, and of what they started."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("Stopped. The same command goes on.", file=sys.stderr)
        sys.exit(STOPPED)
