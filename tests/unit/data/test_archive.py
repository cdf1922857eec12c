"""Archives from strangers: whole and below one folder, or not at all."""

import gzip
import io
import os
import stat
import struct
import tarfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medjepa.data import extract_archive
from medjepa.data.archive import ArchiveLimits
from medjepa.data.archive_names import UnsafeNameError, collision_key, safe_parts
from medjepa.errors import InputError

FILES = {"a/1.png": b"one", "b/two.csv": b"x,y\n1,2\n" * 50}


def write_zip(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo("placeholder")
            info.filename = name  # the constructor would cut it at a zero byte
            info.compress_type = method
            archive.writestr(info, content)
    return path


def write_tar(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def refused(path, into, word):
    """Assert that the text names the file and the reason, and that nothing is left."""
    before = sorted(into.rglob("*")) if into.exists() else None
    with pytest.raises(InputError, match=word) as caught:
        extract_archive(path, into)
    assert str(caught.value).startswith(str(path))
    assert (sorted(into.rglob("*")) if into.exists() else None) == before


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.zip", write_zip),
        ("a.tar", lambda path, files: write_tar(path, files, "w")),
        ("a.tgz", write_tar),
        ("a.tar.bz2", lambda path, files: write_tar(path, files, "w:bz2")),
        ("a.tar.xz", lambda path, files: write_tar(path, files, "w:xz")),
        ("no_ending", write_tar),
    ],
)
def test_what_goes_in_comes_out(tmp_path, name, write):
    into = tmp_path / "out"
    written = extract_archive(write(tmp_path / name, FILES), into)
    assert {p.relative_to(into).as_posix(): p.read_bytes() for p in written} == FILES
    assert sorted(p for p in into.rglob("*") if p.is_file()) == sorted(written)
    if os.name == "posix":
        assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in written)
        assert stat.S_IMODE((into / "a").stat().st_mode) == 0o700


def test_a_single_packed_file_keeps_its_name(tmp_path):
    (tmp_path / "labels.csv.gz").write_bytes(gzip.compress(b"a,b\n"))
    (written,) = extract_archive(tmp_path / "labels.csv.gz", tmp_path / "out")
    assert (written.name, written.read_bytes()) == ("labels.csv", b"a,b\n")


UNSAFE = [
    "../evil.png", "a/../../evil.png", "/etc/evil.png", "..\\evil.png", "C:/evil.png", "C:evil.png",
    "CON.png", "a/aux", "lpt1.txt", "a./b.png", "b.png ", "a\nb.png", "a\0b.png", "a/b.png:stream",
    "x" * 300, "a/" * 70 + "b.png", "\u202egnp.exe",
]  # fmt: skip


@pytest.mark.parametrize("name", UNSAFE)
@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_unsafe_names_are_refused(tmp_path, name, write):
    if write is write_tar and "\0" in name:
        pytest.skip("a tar ends a name at a zero byte")
    path = write(tmp_path / "a.bin", {"good.png": b"x", name: b"evil"})
    refused(path, tmp_path / "out", "unsafe path|name")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.bin"]


@pytest.mark.parametrize(
    "twice",
    [("a.png", "A.PNG"), ("é.png", "e\u0301.png"), ("a", "a/b"), ("a/b", "a"), ("x", "./x")],
)
def test_two_members_that_would_be_one_file_are_refused(tmp_path, twice):
    refused(
        write_tar(tmp_path / "a.tar", dict.fromkeys(twice, b"1"), "w"), tmp_path / "o", "twice|dup"
    )


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE]
)
def test_links_and_devices_are_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("x")
        info.type, info.linkname = kind, "../../etc/passwd"
        archive.addfile(info)
        archive.addfile(tarfile.TarInfo("x/b"))
    refused(tmp_path / "a.tar", tmp_path / "out", "link|special")
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "../../etc/passwd")
    refused(tmp_path / "a.zip", tmp_path / "out", "link")


def test_bombs_are_refused_before_they_are_large(tmp_path):
    zeros = bytes(40 << 20)
    for path in (
        write_zip(tmp_path / "a.zip", {"zeros": zeros}),
        write_tar(tmp_path / "a.tgz", {"zeros": zeros}),
        write_tar(tmp_path / "b.tgz", {"._zeros": zeros}),  # skipped, but read over
    ):
        refused(path, tmp_path / "out", "bomb")
    (tmp_path / "zeros.gz").write_bytes(gzip.compress(zeros))
    refused(tmp_path / "zeros.gz", tmp_path / "out", "limit")


def test_limits_are_arguments(tmp_path):
    path = write_zip(tmp_path / "a.zip", FILES)
    for limits, word in (
        (ArchiveLimits(max_members=1), "members"),
        (ArchiveLimits(max_bytes=10), "too large"),
    ):
        with pytest.raises(InputError, match=word):
            extract_archive(path, tmp_path / "out", limits=limits)
    inner = {"in.zip": path.read_bytes(), "also": path.read_bytes()}
    outer = write_tar(tmp_path / "outer.tar", inner, "w")
    refused(outer, tmp_path / "out", "nested")
    written = extract_archive(outer, tmp_path / "out", limits=ArchiveLimits(allow_nested=True))
    assert [p.name for p in written] == ["in.zip", "also"]


def test_an_archive_is_nested_by_content_too(tmp_path):
    inner = write_zip(tmp_path / "in.zip", FILES).read_bytes()
    refused(write_zip(tmp_path / "a.zip", {"picture.bin": inner}), tmp_path / "out", "nested")
    extract_archive(write_zip(tmp_path / "b.zip", {"arrays.npz": inner}), tmp_path / "out")


def test_damage_half_way_leaves_nothing(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    stored = write_zip(tmp_path / "a.zip", FILES, zipfile.ZIP_STORED)
    raw = bytearray(stored.read_bytes())
    raw[raw.index(b"x,y")] ^= 1  # the second member: its checksum is wrong now
    stored.write_bytes(raw)
    refused(stored, tmp_path / "out", "corrupt")
    packed = write_tar(tmp_path / "b.tgz", FILES).read_bytes()
    for length in (len(packed) // 2, len(packed) - 9):
        (tmp_path / "b.tgz").write_bytes(packed[:length])
        refused(tmp_path / "b.tgz", tmp_path / "out", "truncated")
    plain = write_tar(tmp_path / "c.tar", FILES, "w").read_bytes()
    (tmp_path / "c.tar").write_bytes(plain[:1024])
    refused(tmp_path / "c.tar", tmp_path / "out", "truncated")
    # A damaged second header: the standard library takes it for the end.
    (tmp_path / "c.tar").write_bytes(plain[:1024] + b"\xff" * 512 + plain[1536:])
    refused(tmp_path / "c.tar", tmp_path / "out", "corrupt")


def test_a_size_in_the_header_that_lies_is_found(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"a": b"1234567890" * 10}, zipfile.ZIP_STORED)
    raw = path.read_bytes()
    for claimed in (50, 5_000_000):
        # Both places where a zip has the unpacked size.
        lie = raw.replace(struct.pack("<II", 100, 100), struct.pack("<II", 100, claimed))
        path.write_bytes(lie)
        refused(path, tmp_path / "out", "corrupt|truncated")


def test_what_exists_is_not_overwritten(tmp_path):
    path = write_zip(tmp_path / "a.zip", FILES)
    extract_archive(path, tmp_path / "out")
    refused(path, tmp_path / "out", "exist")


@pytest.mark.skipif(os.name != "posix", reason="links need a right on Windows")
def test_nothing_is_written_through_a_link_that_was_there(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").symlink_to(tmp_path / "elsewhere")
    refused(write_zip(tmp_path / "a.zip", FILES), tmp_path / "out", "link")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_what_desktops_add_is_skipped(tmp_path):
    junk = {"__MACOSX/._a.png": b"x", ".DS_Store": b"x", "a/._b": b"x", "Thumbs.db": b"x"}
    written = extract_archive(write_zip(tmp_path / "a.zip", FILES | junk), tmp_path / "out")
    assert {p.relative_to(tmp_path / "out").as_posix() for p in written} == set(FILES)
    refused(write_zip(tmp_path / "b.zip", junk), tmp_path / "o2", "empty")
    refused(write_zip(tmp_path / "c.zip", {"__MACOSX/../../x": b""}), tmp_path / "o2", "unsafe")


def test_other_kinds_are_refused_by_name(tmp_path):
    for content, word in (
        (b"7z\xbc\xaf\x27\x1c" + bytes(30), "7z"),
        (b"Rar!\x1a\x07\x01\0" + bytes(30), "RAR"),
        (b"\x28\xb5\x2f\xfd" + bytes(30), "Zstandard"),
        (b"just text", "not an archive"),
        (b"", "empty"),
        (b"PK\x05\x06" + bytes(18), "empty"),
    ):
        (tmp_path / "a.bin").write_bytes(content)
        refused(tmp_path / "a.bin", tmp_path / "out", word)
    refused(tmp_path / "missing.zip", tmp_path / "out", "no such file")
    refused(tmp_path, tmp_path / "out", "folder")


def test_a_huge_extended_header_is_refused(tmp_path):
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 3 << 20
    (tmp_path / "a.tar").write_bytes(info.tobuf() + bytes(3 << 20) + bytes(1024))
    refused(tmp_path / "a.tar", tmp_path / "out", "extended header")


@settings(max_examples=200, deadline=None)
@given(
    st.text(min_size=1, max_size=30) | st.from_regex(r"(\.\.?/|[a-c]/|//)*[a-c]", fullmatch=True)
)
def test_a_name_that_passes_stays_below_the_folder(name):
    try:
        parts = safe_parts(name)
    except UnsafeNameError:
        return
    assert not any(p in ("", ".", "..") or "/" in p or "\\" in p for p in parts)
    assert os.path.normpath("/root/" + "/".join(parts)).startswith("/root/")
    assert safe_parts("/".join(parts)) == parts
    assert collision_key(parts) == collision_key(tuple(p.upper().lower() for p in parts)) or any(
        ord(c) > 127 for c in name
    )
