"""The command `medjepa`: finds the verb, imports only that, and turns errors into exit codes.

Exit codes: 0 done; 1 done, but something has to be looked at; 2 not done, the message says what to
change; 130 stopped by the user.
"""

import difflib
import importlib
import io
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from medjepa import __version__
from medjepa.errors import MedJEPAError, refused_by_the_machine


class Verb(NamedTuple):
    """Where a verb lives (`module:function`) and what it does, in one line."""

    target: str
    summary: str


VERBS = {
    "demo": Verb("medjepa.cli.demo:run", "the whole job on built-in synthetic images"),
    "inspect": Verb("medjepa.cli.inspect:run", "what is in a folder, and what is wrong with it"),
    "data": Verb("medjepa.cli.data:run", "known data sets: list, show, download, check"),
    "prepare": Verb("medjepa.cli.prepare:run", "decode a folder of images once into a store"),
    "pretrain": Verb("medjepa.cli.pretrain:run", "pre-train an encoder without labels"),
    "evaluate": Verb("medjepa.cli.evaluate:run", "was the pre-training worth it? one page"),
    "select": Verb("medjepa.cli.select:run", "which checkpoint, where there are no labels?"),
    "finetune": Verb("medjepa.cli.finetune:run", "train it further on labels, beside its rivals"),
    "predict": Verb("medjepa.cli.predict:run", "chances for images without a label, from a few"),
    "embed": Verb("medjepa.cli.embed:run", "features of images, volumes or clips as a table"),
    "anonymize": Verb("medjepa.cli.anonymize:run", "DICOM without patients, or not at all"),
    "verify": Verb("medjepa.cli.verify:run", "is a de-identified copy free of its originals?"),
    "forget": Verb("medjepa.cli.forget:run", "take a patient out of a prepared store"),
    "doctor": Verb("medjepa.cli.doctor:run", "what this machine has: device, memory, decoders"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    make_streams_safe()
    with noted_interrupts() as interrupts:
        try:
            return run_to_its_status(arguments)
        except KeyboardInterrupt:
            return stopped(arguments)
        except (ImportError, AttributeError, NameError, RecursionError):
            # Ctrl-C while a library is imported: the next import finds half of it, and says so.
            if not interrupts:
                raise
            return stopped(arguments)


def run_to_its_status(arguments: list[str]) -> int:
    """Run one verb; errors of the user and of the machine become a message and a status."""
    try:
        status = answer(arguments)
        # Output that went to a closed pipe shows up here at the latest, not in interpreter exit.
        sys.stdout.flush()
    except MedJEPAError as error:
        return fail(str(error))
    except BrokenPipeError:
        # `medjepa ... | head`: the reader has gone. Python would complain once more at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        told = refused_by_the_machine(error)
        if told is None:
            raise
        return fail(told)
    return status


def stopped(arguments: list[str]) -> int:
    """Say how to go on after Ctrl-C; returns the exit status."""
    again = with_resume(arguments[0] if arguments else "", shlex.join(["medjepa", *arguments]))
    print(f"\nmedjepa: stopped. To go on: {again}", file=sys.stderr)
    return 130


@contextmanager
def noted_interrupts() -> Iterator[list[int]]:
    """Note that Ctrl-C was pressed, which raises KeyboardInterrupt as ever."""
    noted: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield noted  # signals go to the main thread only, and nohup's ignoring of them is kept
        return

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)


def make_streams_safe() -> None:
    """Let no character, and no closed stream, cost the result of hours of work.

    The reports' minus signs and dashes are in no ASCII, and the minus is not in Windows' code page.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # `medjepa ... >&-`, or a program without a console
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")


def answer(arguments: list[str]) -> int:
    """Run one verb, or say what there is; returns the exit status."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage(), end="")
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"medjepa {__version__}")
        return 0
    name, rest = arguments[0], arguments[1:]
    if name not in VERBS:
        near = difflib.get_close_matches(name, VERBS, n=1)
        hint = f"; did you mean `medjepa {near[0]}`?" if near else ""
        return fail(f"unknown verb {name!r}{hint}\nThe verbs: {', '.join(VERBS)}")
    # Read once, when torch is imported. On a machine that does other work too, a thread that spins
    # while it waits for one that is not running made a step 4 to 7 times slower (two cores).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return load(name)(rest)


def load(name: str) -> Callable[[list[str]], int]:
    """Import a verb's module and return its function."""
    module, function = VERBS[name].target.split(":")
    run: Callable[[list[str]], int] = getattr(importlib.import_module(module), function)
    return run


def with_resume(name: str, command: str) -> str:
    """Return the command that goes on where `command` was stopped."""
    if name == "pretrain" and "resume=" not in command:
        return f"{command} resume=true"
    return command


def fail(message: str) -> int:
    """Print one message for the user; returns the exit status."""
    print(f"medjepa: {message}", file=sys.stderr)
    return 2


def usage() -> str:
    """Return the text of `medjepa --help`."""
    verbs = "\n".join(f"  {name:<10} {verb.summary}" for name, verb in VERBS.items())
    return f"""\
medjepa {__version__}: pre-train an encoder on medical images, and see whether it was worth it

usage: medjepa VERB [file.yaml] [key=value ...]

{verbs}

`medjepa VERB --help` lists a verb's keys. Research software: not a medical device.
"""
