"""Links: the given folder may be one; inside it, one to a folder is named and never entered."""

import os

import pytest
from image_files import grey, write_png

from medjepa.data import prepare, read_series
from medjepa.data.decode.sniff import sniff
from medjepa.data.files import scan
from medjepa.errors import InputError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links need a right on Windows")


@pytest.fixture
def folder(tmp_path):
    """A folder with an image, a link to an image, a link to a folder of images and a broken one."""
    for number in range(3):
        write_png(tmp_path / "elsewhere" / f"{number}.png", grey(number, (24, 24)))
    write_png(tmp_path / "in" / "own.png", grey(7, (24, 24)))
    (tmp_path / "in" / "file.png").symlink_to(tmp_path / "elsewhere" / "0.png")
    (tmp_path / "in" / "series").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "gone.png").symlink_to(tmp_path / "nowhere")
    return tmp_path / "in"


def test_a_link_to_a_folder_is_named_and_not_entered(folder, tmp_path):
    assert [entry.relative for entry in scan(0, folder)] == [
        "file.png", "gone.png", "own.png", "series",
    ]  # fmt: skip
    report = prepare(folder, tmp_path / "out", size=8, num_workers=0)
    assert (report.found, report.good, report.failed) == (4, 2, 2)
    reasons = dict(report.failures)
    assert reasons["series"].startswith("a link to a folder: ")
    assert "data=[A,B]" in reasons["series"]
    assert reasons["gone.png"].startswith("a link that cannot be opened: ")


def test_the_given_folder_may_be_a_link_as_the_message_says(folder, tmp_path):
    report = prepare(
        [folder / "series", folder / "own.png"], tmp_path / "out", size=8, num_workers=0
    )
    assert (report.good, report.failed) == (4, 0)


def test_a_series_with_a_linked_folder_says_which(folder):
    (folder / "gone.png").unlink()
    with pytest.raises(InputError, match=r"series: a link to a folder"):
        read_series(folder)
    with pytest.raises(InputError, match="a folder, not a file"):
        sniff(str(folder))
