"""Make files block by block, have them read in decoding processes, and keep what went wrong."""

import hashlib
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from fuzz import headers
from fuzz.corpus import Source
from fuzz.damage import damaged
from fuzz.judge import Outcome, judge
from medjepa.data.worker_process import Limits
from medjepa.data.workers import map_in_processes

BLOCK = 250
"""Files that are made at once; a block depends on (seed, its number) alone."""
LIMITS = Limits(timeout_s=20.0, memory_bytes=5 << 30)
_SLOW_SECONDS = 10.0
_LARGE_MEGABYTES = 2600.0  # the readers' own limit is 2 GiB of decoded pixels
_GOOD_STATUSES = ("image", "refused")


@dataclass(frozen=True)
class Finding:
    """A file that was not dealt with as it should."""

    kind: str
    origin: str
    name: str
    content: bytes
    detail: str


@dataclass
class Tally:
    """What came of the files so far."""

    counts: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def count(self, status: str) -> None:
        """One more."""
        self.counts[status] = self.counts.get(status, 0) + 1


def run_block(
    number: int,
    sources: list[Source],
    *,
    campaign_seed: int,
    size: int = BLOCK,
    num_workers: int = 2,
    plain: frozenset[str] = frozenset(),
) -> Tally:
    """Read one block of files: every third from drawn headers, the others damaged bytes.

    `plain` names the sources that show something while whole: such a file damaged, read without a
    warning and showing nothing is a silent blank.
    """
    tally = Tally()
    made = list(_files(number, sources, campaign_seed, size))
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for index, (_, name, content) in enumerate(made):
            path = Path(folder) / f"{index}-{name}"
            path.write_bytes(content)
            paths.append(str(path))
        outcomes = read_all(paths, num_workers)
        for (origin, name, content), outcome in zip(made, outcomes, strict=True):
            kind = _verdict(outcome, origin in plain)
            tally.count(kind)
            if kind not in _GOOD_STATUSES:
                tally.findings.append(Finding(kind, origin, name, content, outcome.detail))
    return tally


def read_all(paths: list[str], num_workers: int) -> Iterator[Outcome]:
    """Judge every file, in order."""
    return map_in_processes(
        judge,
        paths,
        (),
        on_death=lambda reason: Outcome("dead", reason),
        num_workers=num_workers,
        limits=LIMITS,
        results=(Outcome,),
    )


def showing_something(sources: list[Source], num_workers: int = 2) -> frozenset[str]:
    """Which of the sources are read, whole, without a warning, and are not constant."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{i}-{_file_name(s)}" for i, s in enumerate(sources)]
        for path, source in zip(paths, sources, strict=True):
            path.write_bytes(source.content)
        outcomes = list(read_all([str(path) for path in paths], num_workers))
    return frozenset(
        source.name
        for source, outcome in zip(sources, outcomes, strict=True)
        if outcome.status == "image" and not outcome.constant and not outcome.warned
    )


def save_finding(folder: Path, finding: Finding) -> Path:
    """Keep the file, named by what is wrong and its own hash."""
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(finding.content).hexdigest()[:12]
    path = folder / f"{finding.kind}-{digest}-{finding.name}"
    path.write_bytes(finding.content)
    return path


def _verdict(outcome: Outcome, is_plain: bool) -> str:
    if outcome.status in _GOOD_STATUSES and outcome.seconds > _SLOW_SECONDS:
        return "slow"
    if outcome.status in _GOOD_STATUSES and outcome.megabytes > _LARGE_MEGABYTES:
        return "large"
    if outcome.status == "image" and outcome.constant and is_plain and not outcome.warned:
        return "blank"
    return outcome.status


def _files(
    number: int, sources: list[Source], campaign_seed: int, size: int
) -> Iterator[tuple[str, str, bytes]]:
    """(origin, file name, content); origin "headers" for one drawn from the strategies."""
    rng = random.Random(f"{campaign_seed}-{number}")  # noqa: S311 - not for secrets
    contents = [source.content for source in sources]
    drawn = _drawn(size // 3, rng.randrange(2**32))
    yield from (("headers", name, content) for name, content in drawn)
    for _ in range(size - len(drawn)):
        source = rng.choice(sources)
        yield source.name, _file_name(source), damaged(source.content, contents, rng)


def _drawn(count: int, block_seed: int) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []

    @seed(block_seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(headers.files())
    def collect(file: tuple[str, bytes]) -> None:
        found.append(file)

    collect()
    return found[:count]


def _file_name(source: Source) -> str:
    return source.name.replace("/", "-")
