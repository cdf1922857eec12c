"""`medjepa anonymize IN OUT`: DICOM without patients, or not at all."""

from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_type_hints

from medjepa.errors import ConfigError

if TYPE_CHECKING:
    from medjepa.data.deid.job import AnonymizeReport
    from medjepa.data.deid.options import Options

USAGE = """\
usage: medjepa anonymize IN OUT [key=value ...]

De-identifies every DICOM file below IN into OUT after DICOM PS3.15 Annex E; originals are only
read. What cannot be made safe stays behind, listed with its reason in
OUT.quarantine/quarantine.json. OUT.private/ holds the secret, and what links OUT to IN: keep it to
yourself. Again with the same arguments, only what is new is done. Check the result with:
medjepa verify IN OUT
Exit status 1: some files stayed behind.

  profile=strict           strict: only what decodes, places, times and measures the pixels
                           basic: all but what the standard's table lists
  dates=shift              shift (whole days, one offset per patient), remove, keep
  times=remove             of day: remove, shift, keep
  retain_patient_characteristics=false
                           keep sex, age (90 and above as 90), size and weight
  retain_device=false      keep manufacturer and model
  retain_institution=false keep the institution (basic)
  retain_uids=false        keep UIDs
  retain_safe_private=false
                           keep the private attributes that the standard calls safe (basic)
  clean_descriptors=false  keep the known words of descriptions (basic)
  clean_structured=false   keep codes and numbers of reports (basic)
  clean_graphics=false     keep drawn annotations, without texts (basic)
  clean_pixels=quarantine  what looks like burned-in text: quarantine, or blank
  regions=FILE.yaml        rectangles to blank or keep, by device: what it lists has been looked at;
                           regions=ctp: those that CTP and deid publish
  ocr=tesseract            look for text with that program too, if it is installed
  clean_faces=pydeface     take faces out of CT and MR volumes of the head with an installed tool:
                           pydeface, fsl_deface, or a command with {input} and {output} (NIfTI)
  secret=FILE              the project's secret; made in OUT.private/secret.key if there is none
  num_workers=N            processes; 0: none beside this one
"""
_OTHER = ("secret", "num_workers")


def run(arguments: list[str]) -> int:
    """Run the verb; returns the exit status."""
    if any(argument in ("-h", "--help") for argument in arguments):
        print(USAGE, end="")
        return 0
    places = [argument for argument in arguments if "=" not in argument]
    if len(places) != 2:
        raise ConfigError("anonymize needs two folders by place: medjepa anonymize IN OUT")
    given = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    from medjepa.data.deid.job import anonymize
    from medjepa.utils.progress import progress

    workers = given.pop("num_workers", None)
    if workers is not None and not workers.isdigit():
        raise ConfigError(f"num_workers: a whole number, 0 or more, got {workers!r}")
    report = anonymize(
        places[0],
        places[1],
        secret=given.pop("secret", None),
        options=options_of(given),
        num_workers=None if workers is None else int(workers),
        progress=progress,
    )
    print(summary(report))
    return 1 if report.quarantined else 0


def options_of(given: dict[str, str]) -> "Options":
    """Build the options from `key=value` texts.

    Raises:
        ConfigError: a key or value that there is not, with those that there are.
    """
    from difflib import get_close_matches

    from medjepa.config.build import FALSE_WORDS, TRUE_WORDS
    from medjepa.data.deid.options import Options

    hints = get_type_hints(Options)
    values: dict[str, Any] = {}
    for key, text in given.items():
        if key not in hints:
            near = get_close_matches(key, [*hints, *_OTHER], n=1)
            raise ConfigError(
                f"the command line: unknown key {key}"
                + (f"; did you mean {near[0]}?" if near else f"; one of {', '.join(hints)}")
            )
        if hints[key] is bool:
            if text.lower() not in (*TRUE_WORDS, *FALSE_WORDS):
                raise ConfigError(f"{key}: true or false, got {text!r}")
            values[key] = text.lower() in TRUE_WORDS
        else:
            choices = getattr(hints[key], "__args__", ())
            if choices and text not in choices:
                raise ConfigError(f"{key}: {' or '.join(choices)}, got {text!r}")
            values[key] = text
    assert set(values) <= {entry.name for entry in fields(Options)}
    return Options(**values)


def summary(report: "AnonymizeReport") -> str:
    """What became of the files, without a name or a path of theirs."""
    reasons: dict[str, int] = {}
    for _, reason in report.quarantined:
        reasons[reason] = reasons.get(reason, 0) + 1
    quarantine = report.out.with_name(report.out.name + ".quarantine") / "quarantine.json"
    lines = [
        f"{report.found} files found: {report.written} written ({report.known} known before), "
        f"{len(report.quarantined)} quarantined, {report.skips.total()} skipped",
        *(f"  quarantined {count}: {reason}" for reason, count in sorted(reasons.items())),
        *(f"  skipped {count}: {reason}" for reason, count in sorted(report.skips.items())),
        *(f"  doubtful {count}: {text}" for text, count in sorted(report.doubts.items())),
        f"patients: {report.patients} pseudonyms"
        + (
            f"; {report.without_patient} files name no patient, there a study counts as one"
            if report.without_patient
            else ""
        ),
    ]
    if report.quarantined:
        lines.append(f"which files stayed behind: {quarantine}")
    lines.append(f"the way back, and the secret: {report.out.name}.private (never pass it on)")
    return "\n".join(lines)
