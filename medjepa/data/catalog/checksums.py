"""Checksums of packed files, and equal files."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from medjepa.data.catalog.entry import RemoteFile
from medjepa.data.catalog.folder import Folder
from medjepa.data.catalog.report import CheckReport

_CHUNK = 1 << 20


def digest(path: Path, algorithm: str) -> str:
    """The checksum of a file, in hexadecimal digits; md5 is for integrity, not for trust."""
    sum_ = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            sum_.update(chunk)
    return sum_.hexdigest()


def wrong_file(path: Path, expected: RemoteFile) -> str:
    """Why a file is not the published one, "" if nothing speaks against it."""
    size = path.stat().st_size
    if expected.size is not None and size != expected.size:
        return f"{path.name}: {size:,} bytes, published are {expected.size:,}"
    for algorithm, wanted in (("sha256", expected.sha256), ("md5", expected.md5)):
        if wanted:
            there = digest(path, algorithm)
            if there != wanted.lower():
                return f"{path.name}: {algorithm} {there}, published is {wanted}"
            return ""
    return ""


def check_files(report: CheckReport, folder: Path) -> None:
    """Compare the packed files that lie in the folder with what is published."""
    known = {file.name: file for file in report.entry.download.files}
    if not known:
        return
    there = [folder / p for p in Folder(folder).files if p.rpartition("/")[2] in known]
    wrong = [reason for path in there if (reason := wrong_file(path, known[path.name]))]
    report.add("checksum", "{num} files are not the published ones: download them again", wrong)


def equal_files(folder: Path, paths: Sequence[str]) -> list[list[str]]:
    """Groups of files that are equal byte by byte, each of two or more."""
    by_size = defaultdict(list)
    for path in paths:
        by_size[(folder / path).stat().st_size].append(path)
    by_digest = defaultdict(list)
    for size, same in by_size.items():
        if len(same) > 1:
            for path in same:
                by_digest[size, digest(folder / path, "sha256")].append(path)
    return [same for same in by_digest.values() if len(same) > 1]
