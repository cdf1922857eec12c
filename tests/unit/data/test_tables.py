"""Tables as programs write them, and those that cannot be trusted."""

import os

import pytest

from medjepa.data import read_table
from medjepa.errors import InputError, InputWarning


def write(tmp_path, content, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig", "utf-8"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_any_encoding_delimiter_and_line_end(tmp_path, encoding, delimiter, end):
    rows = [("file", "label"), ("ä.png", "a, b; c"), ("b.png", "two\nlines")]
    text = end.join(delimiter.join(f'"{cell}"' for cell in row) for row in rows)
    table = read_table(write(tmp_path, text.encode(encoding)), check=False)
    assert [tuple(row.values()) for row in table] == rows[1:]


def test_the_header_decides_the_delimiter_not_what_is_quoted(tmp_path):
    table = read_table(write(tmp_path, '"a,b,c";label\n1;2\n'))
    assert table.columns == ("a,b,c", "label")


@pytest.mark.parametrize(("encoding", "named"), [("utf-16", "UTF-16"), ("latin-1", "Latin-1")])
def test_another_encoding_is_said(tmp_path, encoding, named):
    path = write(tmp_path, "file,name\na.png,ä\n".encode(encoding))
    with pytest.warns(InputWarning, match=f"encoding {named}"):
        assert next(iter(read_table(path)))["name"] == "ä"


@pytest.mark.parametrize("cell", ["=1+1", "@SUM(A1)", "+1", "-1", "=cmd|' /C calc'!A0"])
def test_formulas_stay_text(tmp_path, cell):
    (row,) = read_table(write(tmp_path, f"file,note\na.png,{cell}\n"))
    assert row["note"] == cell


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"PK\x03\x04" + bytes(40), "Excel"),
        (b"\xd0\xcf\x11\xe0" + bytes(40), "Excel"),
        (b"PAR1" + bytes(40), "Parquet"),
        (b"\x1f\x8b\x08" + bytes(40), "gzip"),
        (b"a,b\n" * 2000 + b"\0,1\n", "zero bytes"),
        ("a,b\n1,2\n".encode("utf-16-le"), "zero bytes"),
        ("a,b\n1,2\n".encode("utf-16")[:-1], "encoding"),
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b'file,label\na.png,"1\n', "quote"),
        (b"file,label\na.png," + b"x" * 200_000, "field"),
        (b"label,label\n1,2\n", "twice"),
        (b"file,label\na.png\n", "row 2 has 1 columns"),
        (b"file,label\n/etc/passwd,1\n", "outside"),
    ],
)
def test_refusals_name_the_table_and_the_reason(tmp_path, content, word):
    path = write(tmp_path, content)
    with pytest.raises(InputError, match=word) as caught:
        read_table(path)
    assert str(caught.value).startswith(str(path))


def test_files_that_are_not_there_are_named(tmp_path):
    write(tmp_path, b"x", "a.png")
    path = write(tmp_path, "path,label\na.png,1\nnope.png,0\n")
    with pytest.raises(InputError, match=r"1 of 2 files are not found \(row 3: nope.png"):
        read_table(path)
    assert len(read_table(path, check=False)) == 2
    # A table of another folder names none of the files beside it.
    assert len(read_table(write(tmp_path, "path,label\nx.png,1\nnope.png,0\n"))) == 2


def test_a_patient_in_two_parts_is_a_leak(tmp_path):
    path = write(tmp_path, "image,patient,split\na,p1,train\nb,p1,test\nc,p2,test\nd,,train\n")
    with pytest.raises(InputError, match=r"1 of 2 patients .* \(p1 in test and train\)"):
        read_table(path)
    assert len(read_table(path, check=False)) == 4


def test_missing_labels_are_counted(tmp_path):
    path = write(tmp_path, "file,label\na,\nb,NaN\nc,1\n")
    with pytest.warns(InputWarning, match="2 of 3 values of the label column 'label'"):
        read_table(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "t.csv")
    for path in (tmp_path / "t.csv", tmp_path, tmp_path / "none.csv", "a\0b.csv"):
        with pytest.raises(InputError, match=r"no such table|opened"):
            read_table(path)
