"""`medjepa forget STORE patient=ID`: a patient leaves a prepared store."""

from pathlib import Path
from typing import TYPE_CHECKING

from medjepa.errors import ConfigError, DataError

if TYPE_CHECKING:
    from medjepa.data.removal import RemovalReport

USAGE = """\
usage: medjepa forget STORE patient=ID [key=value ...]

Takes a patient, named as the table or the DICOM header names them, out of a prepared store: images,
index, private map and copies of tables. All other images stay bit for bit. The same is done in the
cache of prepared folders, and features that evaluations kept there are deleted. `prepare` does not
take the patient's files again. Stopped, the same command goes on.
Then lists the runs that trained on an image of the patient: weights cannot unlearn, train again.
Exit status 1: a patient was in none of the stores.

  patient=ID         who
  patients=FILE      or several, one a line
  runs=FOLDER        where to look for runs that saw them
  cache=FOLDER       the cache of prepared folders, by default this user's (MEDJEPA_CACHE)
"""
_KEYS = ("patient", "patients", "runs", "cache")


def run(arguments: list[str]) -> int:
    """Run the verb; returns the exit status."""
    if any(argument in ("-h", "--help") for argument in arguments):
        print(USAGE, end="")
        return 0
    places = [argument for argument in arguments if "=" not in argument]
    if len(places) != 1:
        raise ConfigError("forget needs one store by place: medjepa forget STORE patient=ID")
    given = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    if unknown := sorted(set(given) - set(_KEYS)):
        raise ConfigError(f"the command line: unknown key {unknown[0]}; one of {', '.join(_KEYS)}")
    patients = _patients(given)
    if "runs" in given and not Path(given["runs"]).is_dir():
        raise DataError(f"{given['runs']}: no such folder (runs=)")
    from medjepa.data.cache import default_cache, forget_kept
    from medjepa.data.removal import forget, stores_below

    store = Path(places[0])
    reports = [forget(store, patients)]
    cache = Path(given["cache"]) if "cache" in given else default_cache()
    forget_kept(cache)
    for other in stores_below(cache / "stores"):
        if other.resolve() != store.resolve():
            reports.append(forget(other, patients, keys=reports[0].keys))
    keys = frozenset().union(*(report.keys for report in reports))
    known = frozenset().union(*(report.known for report in reports))
    print("\n".join(_stores(reports, len(patients), len(known))))
    print("\n".join(_runs(given.get("runs"), keys)))
    return 0 if len(known) == len(patients) else 1


def _patients(given: dict[str, str]) -> list[str]:
    if ("patient" in given) == ("patients" in given):
        raise ConfigError("forget: who? give patient=ID, or patients=FILE with one a line")
    lines = [given.get("patient", "")]
    if "patients" in given:
        try:
            lines = Path(given["patients"]).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"patients={given['patients']}: cannot be read: {error}") from error
    patients = sorted({line.strip() for line in lines if line.strip()})
    if not patients:
        raise ConfigError("forget: no patient is named")
    return patients


def _stores(reports: list["RemovalReport"], num_asked: int, num_known: int) -> list[str]:
    lines = [f"{num_known} of {num_asked} patients were found"]
    for report in reports:
        if report.num_items or report is reports[0]:
            lines.append(
                f"{report.store}: {report.num_items} images taken out, {report.num_left} are left"
            )
    return lines


def _runs(folder: str | None, keys: frozenset[str]) -> list[str]:
    if folder is None:
        return ["runs that saw them: not looked for; name a folder with runs=FOLDER"]
    from medjepa.data.removal import runs_that_saw
    from medjepa.training.run import KEYS_FILE

    runs, unrecorded = runs_that_saw(Path(folder), keys, KEYS_FILE)
    lines = [f"{len(runs)} runs below {folder} trained on them"]
    for entry in runs:
        lines.append(f"  {entry.folder}: {entry.num_files} of their files")
        lines += [f"    {path}" for path in entry.checkpoints]
    if runs:
        lines.append(
            "these weights saw the patient and cannot unlearn: delete them and train again"
        )
    if unrecorded:
        lines.append(f"{len(unrecorded)} checkpoints have no record of what they were trained on:")
        lines += [f"    {path}" for path in unrecorded]
    return lines
