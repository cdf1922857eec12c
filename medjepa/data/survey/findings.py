"""What a person should look at, and how messages are put together without what is in them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from medjepa.data.survey.examine import Seen

Level = Literal["bad", "unsure", "note"]
LEVELS: tuple[Level, ...] = ("bad", "unsure", "note")
KNOWN_NUMBERS = ("2000", "J2K", "HTJ2K", "2-D", "3-D", "4-D", "PS3.3", "PS3.5", "PS3.10")
"""Words with digits that are of ours, and stay in messages."""

_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_WITH_DIGITS = re.compile(r"(?<![\w.])[^\s,;:()\[\]]*\d[^\s,;:()\[\]]*")
_REPEATED = re.compile(r"#( ?[x×,/-]? ?#)+")


@dataclass(frozen=True)
class Finding:
    """Something that a person should look at.

    Attributes:
        kind: a word for programs.
        level: "bad" (act on it), "unsure" (look) or "note".
        title: what was found, with its count.
        text: what it means and what to do next.
        files: numbers of the files, each group by itself.
        details: one line for each group, or none.
        side_by_side: whether the files of a group are to be compared.
    """

    kind: str
    level: Level
    title: str
    text: str
    files: tuple[tuple[int, ...], ...] = ()
    details: tuple[str, ...] = ()
    side_by_side: bool = False


def single(files: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Each file as a group of its own."""
    return tuple((number,) for number in files)


def counted(count: int, noun: str) -> str:
    """Write a count with its noun: 1 file, 2,000 files."""
    many = {"series": "series", "volume or clip": "volumes or clips"}.get(noun, f"{noun}s")
    return f"{count:,} {noun if count == 1 else many}"


def pattern_of(message: str) -> str:
    """A message without its numbers, names and quotations: equal for files of one problem.

    What is left out may come from a header, and a header may hold anything.
    """
    plain = _QUOTED.sub("“…”", message)
    plain = _WITH_DIGITS.sub(lambda m: m[0] if m[0] in KNOWN_NUMBERS else "#", plain)
    return _REPEATED.sub("#", plain)


def by_pattern(messages: Mapping[int, Sequence[str]]) -> dict[str, list[int]]:
    """Files by what was said of them, the commonest first."""
    groups: dict[str, list[int]] = {}
    for number, texts in messages.items():
        for pattern in dict.fromkeys(map(pattern_of, texts)):
            groups.setdefault(pattern, []).append(number)
    return dict(sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])))


def refused(seen: Mapping[int, Seen]) -> list[Finding]:
    """Files that cannot be read, and those that were read with a doubt, by reason."""
    found = []
    reasons = {
        n: [f"{one.format}: {one.reason}" if one.format else one.reason]
        for n, one in seen.items()
        if one.status == "broken"
    }
    if groups := by_pattern(reasons):
        text = (
            "`prepare` names them and leaves them out; nothing of them becomes a blank image. Ask "
            "for them again where they come from."
        )
        title = f"{counted(len(reasons), 'file')} cannot be read"
        found.append(_grouped("broken", "bad", title, text, groups))
    doubts = {n: one.warnings for n, one in seen.items() if one.warnings}
    if groups := by_pattern(doubts):
        text = "They are read; the messages say what was repaired or assumed."
        title = f"{counted(len(doubts), 'file')} read with a doubt"
        found.append(_grouped("doubtful", "unsure", title, text, groups))
    return found


def _grouped(
    kind: str, level: Level, title: str, text: str, groups: Mapping[str, Sequence[int]]
) -> Finding:
    files = tuple(tuple(numbers) for numbers in groups.values())
    return Finding(kind, level, title, text, files, tuple(groups))
