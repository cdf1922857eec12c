from contextlib import contextmanager

import numpy as np
import pytest
from image_files import grey, write_png
from PIL import Image

from medjepa.data.files import scan
from medjepa.data.source_tables import tables_beside
from medjepa.data.survey.survey import survey
from medjepa.data.survey.tables import labels_of
from medjepa.errors import DataError
from medjepa.report.inspect_page import numbers_text, prose, render_inspection, write_inspection

NASTY = "<script>alert('x')</script>"


@pytest.fixture
def folder(tmp_path):
    for number in range(10):
        write_png(tmp_path / "in" / f"{number}.png", grey(number))
    rows = "".join(f"{n}.png,{'a' if n % 2 else NASTY},{n // 4}\n" for n in range(10))
    (tmp_path / "in" / "t.csv").write_text("file,label,patient\n" + rows)
    return tmp_path / "in"


def test_an_interrupt_ends_the_look_and_the_page_says_so(folder):
    @contextmanager
    def impatient(description, total):
        done = []

        def advance(count):
            done.append(count)
            if description == "looking at files" and len(done) == 4:
                raise KeyboardInterrupt

        yield advance

    seen = survey(folder, num_workers=0, progress=impatient)
    assert seen.stopped
    assert (seen.found, seen.good) == (11, 4)
    assert "Stopped early: 7 files were not looked at" in render_inspection(seen)


def test_the_seed_decides_what_is_shown(folder):
    def samples(seed):
        return survey(folder, num_workers=0, num_samples=3, text_looks=0, seed=seed).samples

    assert samples(0) == samples(0)
    assert len({samples(seed) for seed in range(4)}) > 1


def test_without_pictures_there_is_none(folder):
    seen = survey(folder, num_workers=0, pictures=False)
    assert not seen.pictures
    assert "data:image" not in render_inspection(seen)


def test_texts_of_a_table_cannot_become_part_of_the_page(folder):
    page = render_inspection(survey(folder, num_workers=0, text_looks=0))
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_folder_with_other_things_is_not_written_to(folder, tmp_path):
    seen = survey(folder, num_workers=0, pictures=False)
    with pytest.raises(DataError, match="other things"):
        write_inspection(seen, folder)
    out = tmp_path / "out"
    assert write_inspection(seen, out) == write_inspection(seen, out)


def test_inverted_radiographs_are_found_among_real_ones(real_data, tmp_path):
    files = sorted((real_data("cxr_nih1000_64") / "images").rglob("*.png"))[::10]
    turned = set(range(0, len(files), 12))
    for number, path in enumerate(files):
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("L"))
        write_png(tmp_path / f"{number:03d}.png", 255 - pixels if number in turned else pixels)
    seen = survey(tmp_path, num_workers=0, text_looks=0, pictures=False)
    (found,) = [one for one in seen.findings if one.kind == "inverted"]
    assert {n - 1 for (n,) in found.files} == turned


def test_patients_across_the_parts_of_a_real_split_are_counted(real_data):
    root = real_data("cxr_nih1000_64")
    entries = list(scan(0, root))
    paths = {number: entry.relative for number, entry in enumerate(entries, start=1)}
    labels, found = labels_of(tables_beside(0, root, entries, table=None), paths, "label")
    (leak,) = [one for one in found if one.kind == "leak_patients"]
    assert len(leak.files) == 30
    assert labels.counts["normal"] == ((100, 39), (300, 122), (100, 40))


def test_numbers_of_files_are_short():
    assert numbers_text([1, 2, 3, 7, 9, 10]) == "1–3, 7, 9–10"
    assert numbers_text(range(100)) == "0–23 and 76 more"


def test_words_in_backticks_are_code():
    assert prose("a `b<` c") == "a <code>b&lt;</code> c"
