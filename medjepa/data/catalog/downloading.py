"""A set by its owner's own route: the terms first, then the files, then the archives unpacked."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from medjepa.data.archive import ArchiveLimits, extract_archive
from medjepa.data.catalog.checksums import wrong_file
from medjepa.data.catalog.entry import Entry, RemoteFile
from medjepa.data.catalog.routes import Route, route_of
from medjepa.data.catalog.transfer import fetch
from medjepa.data.prepare_report import Progress
from medjepa.errors import ConfigError, DataError, InputError

_PACKED = (".zip", ".tar", ".tar.gz", ".tgz", ".h5.gz", ".tar.bz2")
_DONE = ".unpacked"
_DEEPEST = 3
Say = Callable[[str], object]


@dataclass
class Outcome:
    """What became of a download.

    Attributes:
        complete: every wanted file is there.
        fetched, known: names of files that came now, and that lay there already.
        unpacked: archives that were unpacked now.
    """

    complete: bool = False
    fetched: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    unpacked: list[str] = field(default_factory=list)


def download(
    entry: Entry,
    folder: str | Path,
    *,
    accept_licence: bool = False,
    names: Sequence[str] = (),
    extract: bool = True,
    progress: Progress | None = None,
    say: Say = lambda text: None,
    allow_http: bool = False,
) -> Outcome:
    """Fetch a set, or say which steps only its reader can take.

    The terms are said first; where they ask for an agreement nothing is fetched without
    `accept_licence`. `names` picks files. Archives that lie in the folder are unpacked once.

    Raises:
        ConfigError: the terms are not accepted, or a name is unknown.
        DataError: a transfer failed, or a file is not the published one.
        InputError: an archive is damaged or unsafe.
    """
    target, outcome = Path(folder), Outcome()
    say(_terms(entry))
    wanted = _wanted(entry, names)
    if entry.licence.agreement and not accept_licence:
        raise ConfigError(
            f"{entry.name}: read the terms at {entry.licence.url}; if you agree, add "
            "accept_licence=true"
        )
    if entry.download.route == "https":
        _over_https(wanted, target, outcome, progress, allow_http)
    elif entry.download.route == "manual":
        _by_hand(entry, wanted, target, outcome, say)
    else:
        _by_client(entry, target, names, outcome, say)
    if extract and target.is_dir():
        _unpack_all(target, outcome, say)
    if outcome.complete:
        say(f"next: medjepa data check {shlex.quote(str(target))} dataset={entry.name}")
    return outcome


def _terms(entry: Entry) -> str:
    return (
        f"{entry.title}\nlicence: {entry.licence.name}  {entry.licence.url}\n"
        f"please cite: {entry.citation}"
    )


def _wanted(entry: Entry, names: Sequence[str]) -> list[RemoteFile]:
    files = {file.name: file for file in entry.download.files}
    unknown = [name for name in names if files and name not in files]
    if unknown:
        raise ConfigError(f"files: {entry.name} has no {unknown[0]}; it has {', '.join(files)}")
    chosen = [files[name] for name in names if name in files]
    return chosen or [file for file in files.values() if not file.optional]


def _over_https(
    files: Sequence[RemoteFile],
    target: Path,
    outcome: Outcome,
    progress: Progress | None,
    allow_http: bool,
) -> None:
    for file in files:
        shown = progress(file.name, file.size or 0) if progress else nullcontext(lambda _: None)
        with shown as advance:
            came = fetch(file, target, advance=advance, allow_http=allow_http)
        (outcome.fetched if came else outcome.known).append(file.name)
    outcome.complete = True


def _by_hand(
    entry: Entry, files: Sequence[RemoteFile], target: Path, outcome: Outcome, say: Say
) -> None:
    """The owner wants a click: say the steps, and take what lies there already."""
    there = [file for file in files if (target / file.name).is_file()]
    wrong = [reason for file in there if (reason := wrong_file(target / file.name, file))]
    if wrong:
        raise DataError(f"{target}: not as published: {'; '.join(wrong)}; download it again")
    outcome.known = [file.name for file in there]
    outcome.complete = bool(files) and len(there) == len(files)
    if outcome.complete:
        return
    steps = entry.access.steps or (f"Open {entry.homepage} and download the files there.",)
    lacking = [file.name for file in files if file not in there]
    say("not downloaded: the owner asks you to do this yourself:")
    for number, step in enumerate(steps, start=1):
        say(f"  {number}. {step}")
    say(f"  {len(steps) + 1}. Put the files into {target}, and run the same command again.")
    if lacking:
        say(f"still to come: {', '.join(lacking)}")


def _by_client(
    entry: Entry, target: Path, names: Sequence[str], outcome: Outcome, say: Say
) -> None:
    route = route_of(entry, target, names)
    command = list(route.command)
    user = os.environ.get("PHYSIONET_USER", "")
    lacks_user = entry.download.route == "physionet" and not user
    program = shutil.which(command[0])
    if program is None or lacks_user:
        say("not downloaded: the owner's client is needed.")
        _say_steps(entry, route, say)
        return
    command = [part.replace("YOUR_NAME", user) for part in command]
    say(f"calling: {shlex.join(command)}")
    target.mkdir(parents=True, exist_ok=True)
    # The client asks for its credentials itself; nothing of them passes through here.
    status = subprocess.run([program, *command[1:]], check=False).returncode  # noqa: S603
    if status:
        say(f"not downloaded: {command[0]} ended with status {status} (its message is above).")
        _say_steps(entry, route, say)
        return
    outcome.complete = True


def _say_steps(entry: Entry, route: Route, say: Say) -> None:
    steps = [
        *entry.access.steps,
        f"Install the client: {route.install}",
        f"Credentials: {route.credentials}",
        f"Run the same command again, or the client itself: {shlex.join(route.command)}",
    ]
    for number, step in enumerate(dict.fromkeys(steps), start=1):
        say(f"  {number}. {step}")


def _unpack_all(target: Path, outcome: Outcome, say: Say) -> None:
    """Unpack each archive once, those inside archives too; a mark beside each says it was done."""
    for _ in range(_DEEPEST):
        pending = [path for path in sorted(target.iterdir()) if _is_pending(path)]
        for path in pending:
            say(f"unpacking {path.name}")
            _unpack_one(path, target)
            outcome.unpacked.append(path.name)


def _is_pending(path: Path) -> bool:
    return path.name.endswith(_PACKED) and path.is_file() and not _mark(path).exists()


def _mark(path: Path) -> Path:
    return path.with_name(f".{path.name}{_DONE}")


def _unpack_one(path: Path, target: Path) -> None:
    try:
        extract_archive(path, target, limits=ArchiveLimits(allow_nested=True))
    except InputError as error:
        if "exist in" in error.reason:
            raise DataError(
                f"{path}: is unpacked already, at least in part ({error.reason}); "
                "extract=false leaves it"
            ) from error
        raise
    _mark(path).touch()
