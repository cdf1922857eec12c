"""`medjepa verify IN OUT`: is the copy free of its originals?"""

from pathlib import Path
from typing import TYPE_CHECKING

from medjepa.errors import ConfigError

if TYPE_CHECKING:
    from medjepa.data.verify import VerifyReport

USAGE = """\
usage: medjepa verify IN OUT [key=value ...]

Takes every string that could identify from the originals below IN (headers at any depth, private
attributes, file meta information, names of files and folders) and searches every byte of OUT for
it; checks what a de-identified file must and must not have; and compares dates, UIDs and
pseudonyms. IN and OUT are only read. Independent of `medjepa anonymize`.
Exit status 1: something was found.

  report=OUT.verify.json   where the findings go (mode 0600); must not be in IN or OUT
  show=false               put the strings themselves into the report
  allow=NAME,NAME          what was kept on purpose:
                           uids, dates, times, device, institution, characteristics,
                           descriptions, technical (profile=basic), private
  quarantine=FILE          what must not be in OUT (default OUT.quarantine/quarantine.json)
"""
_KEYS = ("report", "show", "allow", "quarantine")
_NUM_SHOWN = 20


def run(arguments: list[str]) -> int:
    """Run the verb; returns the exit status."""
    if any(argument in ("-h", "--help") for argument in arguments):
        print(USAGE, end="")
        return 0
    from medjepa.config.build import FALSE_WORDS, TRUE_WORDS

    places = [argument for argument in arguments if "=" not in argument]
    if len(places) != 2:
        raise ConfigError("verify needs two folders by place: medjepa verify IN OUT")
    given = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    unknown = sorted(set(given) - set(_KEYS))
    if unknown:
        raise ConfigError(f"the command line: unknown key {unknown[0]}; one of {', '.join(_KEYS)}")
    show = given.get("show", "false").lower()
    if show not in (*TRUE_WORDS, *FALSE_WORDS):
        raise ConfigError(f"show: true or false, got {given['show']!r}")
    source, out = Path(places[0]), Path(places[1])
    target = Path(given.get("report") or out.with_name(out.name + ".verify.json"))
    for place in (source, out):
        if place.resolve() in (target.resolve(), *target.resolve().parents):
            raise ConfigError(f"report={target}: must not lie in {place}, which is only read")
    from medjepa.data.verify import verify
    from medjepa.utils.progress import progress

    report = verify(
        source,
        out,
        allow=[name.strip() for name in given.get("allow", "").split(",") if name.strip()],
        quarantine=given.get("quarantine"),
        progress=progress,
    )
    report.write(target, show=show in TRUE_WORDS)
    print(summary(report))
    print(f"report, for you alone: {target}")
    return 1 if report.num_findings else 0


def summary(report: "VerifyReport") -> str:
    """What was searched and what was found, without a string of the originals."""
    lines = [
        f"{report.num_files} files ({report.num_bytes / 2**20:,.1f} MiB) searched for "
        f"{report.num_strings:,} strings of {report.num_originals} originals"
        + (f"; {report.num_allowed:,} strings may stay (allow=)" if report.num_allowed else ""),
        f"{report.num_matched} compared with their original, {report.num_unmatched} could not be; "
        f"{report.num_missing} originals have no output and are not in quarantine",
        *(f"  not searched {n:,}: {why}" for why, n in sorted(report.not_searched.items())),
        f"{report.num_findings:,} findings",
        *(f"  {count:,}: {what}" for what, count in report.counts.most_common()),
    ]
    lines += [
        f"    {finding.file}: {finding.where}: {finding.what}"
        for finding in report.findings[:_NUM_SHOWN]
    ]
    if report.num_findings > _NUM_SHOWN:
        lines.append(f"    ... and {report.num_findings - _NUM_SHOWN:,} more in the report")
    return "\n".join(lines)
