"""What a check of a set found."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from medjepa.data.catalog.entry import Entry
from medjepa.data.catalog.items import Item, Reading

_NUM_NAMED = 10


@dataclass(frozen=True)
class Problem:
    """Something that has to be put right, or known: `num` cases, a few of them by name.

    Attributes:
        kind: layout, missing, label, group, leak, count, checksum, duplicate or item.
    """

    kind: str
    text: str
    num: int = 1
    examples: tuple[str, ...] = ()


@dataclass(kw_only=True)
class CheckReport:
    """The outcome of a check; `ok` where nothing has to be put right.

    Attributes:
        notes: what a reader of results with this set should know.
    """

    entry: Entry
    folder: str
    reading: Reading
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True where there are no problems."""
        return not self.problems

    @property
    def items(self) -> list[Item]:
        """The images of the set."""
        return self.reading.items

    def add(self, kind: str, text: str, cases: Sequence[str] = ()) -> None:
        """Note a problem; nothing where `cases` is an empty list and the text counts them."""
        if "{num}" in text and not cases:
            return
        named = tuple(cases[:_NUM_NAMED])
        num = max(len(cases), 1)
        self.problems.append(Problem(kind, text.replace("{num}", f"{num:,}"), num, named))

    def to_dict(self) -> dict[str, object]:
        """Plain values, for JSON."""
        return {
            "dataset": self.entry.name,
            "folder": self.folder,
            "root": self.reading.root,
            "ok": self.ok,
            "images": len(self.items),
            "labelled": sum(item.labels is not None for item in self.items),
            "groups": len({item.group for item in self.items if item.group is not None}),
            "classes": dict(class_counts(self.entry, self.items)),
            "splits": dict(sorted(Counter(i.split for i in self.items if i.split).items())),
            "problems": [
                {"kind": p.kind, "text": p.text, "num": p.num, "examples": list(p.examples)}
                for p in self.problems
            ],
            "notes": list(self.notes),
        }


def class_counts(entry: Entry, items: Sequence[Item]) -> dict[str, int]:
    """Images of each class, in the entry's order; nothing for numbers and label maps."""
    if entry.task == "regression":
        return {}
    counted = Counter(name for item in items for name in item.labels or ())
    return {name: counted[name] for name in entry.classes if counted[name]}


def describe(report: CheckReport) -> str:
    """The outcome for the terminal."""
    content = report.to_dict()
    entry, items = report.entry, report.items
    groups = f", {content['groups']:,} by {entry.group.what}" if content["groups"] else ""
    mapped = sum(bool(item.masks) for item in items)
    told = [f"{content['labelled']:,} labelled"] if content["labelled"] else []
    told += [f"{mapped:,} with label maps"] if mapped else []
    known = f" ({', '.join(told)})" if told else ""
    lines = [f"{entry.title}: {len(items):,} images{known}{groups}"]
    for word, counts in (("classes", content["classes"]), ("split", content["splits"])):
        if isinstance(counts, dict) and counts:
            lines.append(f"  {word}: " + ", ".join(f"{k} {v:,}" for k, v in counts.items()))
    for problem in report.problems:
        lines.append(f"  PROBLEM ({problem.kind}): {problem.text}")
        lines += [f"    {example}" for example in problem.examples]
        if problem.num > len(problem.examples) > 0:
            lines.append(f"    ... and {problem.num - len(problem.examples):,} more")
    lines += [f"  note: {note}" for note in report.notes]
    lines.append("everything is as published" if report.ok else f"{len(report.problems)} problems")
    return "\n".join(lines)
