"""Faces: what the tool removes goes, the rest stays as measured; if it fails nothing leaves."""

import json
import sys

import numpy as np
import pytest
from image_files import write_dicom

from medjepa.cli.main import main
from medjepa.data import read, read_series

TOOL = """\
import sys
import nibabel as nib
import numpy as np

image = nib.load(sys.argv[1])
values = np.asarray(image.dataobj).copy()
corner = np.stack(np.meshgrid(*map(np.arange, values.shape), indexing="ij"), -1)
front = (corner @ image.affine[:3, :3].T + image.affine[:3, 3])[..., 1] > {front}
values[front] = 0
nib.save(nib.Nifti1Image(values{more}, image.affine), sys.argv[2])
sys.exit({status})
"""


@pytest.fixture
def head(tmp_path):
    """Six axial slices of a head in CT, back to front in name, rows from front to back."""
    rng = np.random.default_rng(0)
    volume = rng.integers(-1000, 1500, (6, 16, 12)).astype(np.int16)
    for number in range(6):
        write_dicom(
            tmp_path / "in" / f"{9 - number}.dcm", volume[number],
            BodyPartExamined="HEAD", SeriesInstanceUID="1.2.3", StudyInstanceUID="1.2",
            FrameOfReferenceUID="1.2.4", InstanceNumber=number + 1, PixelSpacing=[2, 2],
            ImagePositionPatient=[-12, -16, 5 * number], ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            RescaleSlope=1, RescaleIntercept=0, SliceThickness=5,
        )  # fmt: skip
    return tmp_path, volume


def tool(folder, front="0", status=0, more=""):
    path = folder / "tool.py"
    path.write_text(TOOL.format(front=front, status=status, more=more))
    return f"clean_faces={sys.executable} {path} {{input}} {{output}}"


def anonymized(folder, *more):
    return main(["anonymize", str(folder / "in"), str(folder / "out"), "num_workers=0", *more])


def held(folder):
    return json.loads((folder / "out.quarantine" / "quarantine.json").read_text())


def test_the_front_of_the_head_goes_and_the_rest_stays(head, capsys):
    folder, volume = head
    assert anonymized(folder, tool(folder)) == 0
    cleaned = read_series(folder / "out").array[0]
    # y is -16 + 2 * row in LPS, front is y < 0 there, so rows 0 to 7.
    np.testing.assert_array_equal(cleaned[:, 8:], volume[:, 8:])
    assert (cleaned[:, :8] == volume.min()).all()
    assert "a face can be rendered" not in capsys.readouterr().out
    assert not (folder / "out.private" / "faces").exists() or not any(
        p.is_file() for p in (folder / "out.private" / "faces").rglob("*")
    )
    before = {p: p.read_bytes() for p in (folder / "out").rglob("*.dcm")}
    assert anonymized(folder, tool(folder)) == 0
    assert "6 written (6 known before)" in capsys.readouterr().out
    assert before == {p: p.read_bytes() for p in (folder / "out").rglob("*.dcm")}


def test_without_the_option_a_face_is_a_doubt(head, capsys):
    folder, volume = head
    assert anonymized(folder) == 0
    assert "doubtful 6: a volume of the head: a face can be rendered" in capsys.readouterr().out
    np.testing.assert_array_equal(read_series(folder / "out").array[0], volume)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"status": 1}, "failed"),
        ({"front": "99"}, "found none"),
        ({"more": "[:-1]"}, "another size"),
    ],
)
def test_a_tool_that_fails_keeps_the_series_back(head, changes, told):
    folder, _ = head
    assert anonymized(folder, tool(folder, **changes)) == 1
    assert [told in entry["reason"] for entry in held(folder)] == [True] * 6
    assert not list((folder / "out").rglob("*.dcm"))


def test_a_series_that_lacks_a_slice_stays_back_and_a_chest_passes(head):
    folder, volume = head
    (folder / "in" / "7.dcm").unlink()
    write_dicom(folder / "in" / "chest.dcm", volume[0], BodyPartExamined="CHEST",
                StudyInstanceUID="1.5", SeriesInstanceUID="1.5.1")  # fmt: skip
    assert anonymized(folder, tool(folder)) == 1
    assert len(held(folder)) == 5
    assert all("missing slice" in entry["reason"] for entry in held(folder))
    (passed,) = (folder / "out").rglob("*.dcm")
    np.testing.assert_array_equal(read(passed).array[0], volume[0])


def test_a_run_that_was_stopped_goes_on_with_the_tool(head, monkeypatch):
    folder, volume = head
    from medjepa.data.deid import job

    with monkeypatch.context() as patched:
        patched.setattr(job, "remove_face", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            anonymized(folder, tool(folder))
    assert not list((folder / "out").rglob("*.dcm")), "a face has left before the tool ran"
    assert anonymized(folder, tool(folder)) == 0
    cleaned = read_series(folder / "out").array[0]
    assert (cleaned[:, :8] == volume.min()).all()


@pytest.mark.parametrize(
    ("value", "told"), [("pydefase", "a command line with"), ("none {input} {output}", "install")]
)
def test_a_tool_that_is_not_there_is_told_at_once(head, value, told, capsys):
    folder, _ = head
    assert anonymized(folder, f"clean_faces={value}") == 2
    assert told in capsys.readouterr().err
