import re
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_files import grey, write_dicom

from medjepa.data.duplicates import fingerprints
from medjepa.data.selection import Selection
from medjepa.data.survey.arrangement import broken_series, left_out, series_of
from medjepa.data.survey.copies import copies
from medjepa.data.survey.examine import Seen, look_of
from medjepa.data.survey.findings import KNOWN_NUMBERS as KNOWN
from medjepa.data.survey.findings import Finding, pattern_of, refused
from medjepa.data.survey.next_steps import next_steps
from medjepa.data.survey.oddities import empty_images, inverted, looks_inverted, outliers
from medjepa.data.survey.private_findings import naming
from medjepa.data.survey.tables import Labels, crossing_copies, labels_of

RNG = np.random.default_rng(0)


def seen(picture=None, **more):
    small = RNG.normal(size=(32, 32)).astype(np.float32) if picture is None else picture
    values = {
        "status": "good", "modality": "xray", "axes": "yx", "shape": (1, 512, 512),
        "dtype": "uint8", "spacing": (0.1, 0.1), "values": (3.0, 100.0, 250.0), "num_values": 32,
        "key": str(RNG.random()), "pixel_key": str(RNG.random()),
        "fingerprint": fingerprints(small[None])[0], "look": look_of(small),
    }  # fmt: skip
    return Seen(**values | more)


def kinds(findings):
    return {one.kind: one.files for one in findings}


@given(st.text(alphabet=st.characters(codec="ascii", exclude_characters="'\""), max_size=60))
def test_no_number_and_no_quotation_is_left_of_a_message(text):
    pattern = pattern_of(f"{text} 'Doe' 12 of 4711-x, \"Jane\" PatientID=77")
    # JPEG 2000, HTJ2K and the like are names of ours.
    assert not [word for word in re.findall(r"[\w.-]*\d[\w.-]*", pattern) if word not in KNOWN]
    assert not re.search(r"\b(Doe|Jane)\b", pattern.replace(text, ""))


def test_messages_that_differ_in_numbers_are_one_reason():
    broken = {n: Seen("broken", f"truncated: {n} of 100 bytes", "PNG") for n in range(1, 4)} | {
        4: Seen("broken", "no pixel data", "DICOM")
    }
    (finding,) = refused(broken)
    assert finding.files == ((1, 2, 3), (4,))
    assert finding.details[0] == "PNG: truncated: # of # bytes"


def test_a_copy_is_named_by_the_strongest_relation_only():
    base = RNG.normal(size=(32, 32)).astype(np.float32)
    group = {
        1: seen(base, key="k", pixel_key="p"),
        2: seen(base, key="k", pixel_key="p"),
        3: seen(base, key="other", pixel_key="p"),
        4: seen(2 * base + 1),
        5: seen(),
    }
    found = kinds(copies(group, []))
    assert found == {"copies": ((1, 2),), "pixel_copies": ((1, 3),), "near_copies": ((1, 4),)}


def test_masks_may_resemble_each_other():
    base = RNG.normal(size=(32, 32)).astype(np.float32)
    group = {1: seen(base, num_values=2), 2: seen(base, num_values=2)}
    assert copies(group, []) == []


def test_neighbours_in_a_series_are_no_copies_but_series_are():
    base = RNG.normal(size=(32, 32)).astype(np.float32)
    group = {n: seen(base) for n in range(1, 7)}
    assert copies(group, [(1, 2, 3, 4, 5, 6)]) == []
    assert kinds(copies(group, [(1, 2, 3), (4, 5, 6)])) == {"near_copies": ((2, 5),)}


@pytest.mark.parametrize("share", [0.05, 0.2, 0.4])
def test_inverted_images_are_found_whatever_their_share(share):
    rng = np.random.default_rng(1)
    typical = rng.normal(size=(32, 32)).astype(np.float32)
    swapped = rng.random(200) < share
    pictures = [
        (-1 if turned else 1) * (typical + 0.7 * rng.normal(size=(32, 32)).astype(np.float32))
        for turned in swapped
    ]
    group = {n: seen(one) for n, one in enumerate(pictures, start=1)}
    assert kinds(inverted(group))["inverted"] == tuple((n + 1,) for n in np.flatnonzero(swapped))


def test_where_images_have_nothing_in_common_none_is_inverted():
    looks = np.random.default_rng(2).integers(-100, 100, (200, 16, 16)).astype(np.int8)
    assert not looks_inverted(looks).any()
    assert inverted({n: seen() for n in range(7)}) == []


def test_a_gradual_likeness_makes_none_inverted():
    rng = np.random.default_rng(3)
    typical = rng.normal(size=(32, 32))
    shares = rng.normal(0.4, 0.5, 300)
    pictures = [share * typical + 0.7 * rng.normal(size=(32, 32)) for share in shares]
    looks = np.stack([look_of(one.astype(np.float32)) for one in pictures])
    assert not looks_inverted(looks).any()


def test_colour_is_compared_with_colour_only():
    rng = np.random.default_rng(5)
    typical = rng.normal(size=(32, 32)).astype(np.float32)
    pictures = [typical + 0.1 * rng.normal(size=(32, 32)).astype(np.float32) for _ in range(40)]
    group = {
        n: seen(-one if n < 10 else one, coloured=n < 10) for n, one in enumerate(pictures, start=1)
    }
    assert inverted(group) == []


def test_the_majority_decides_even_if_it_is_less_alike():
    rng = np.random.default_rng(4)
    typical = rng.normal(size=(32, 32))
    noise = [0.9] * 52 + [0.1] * 48
    signs = [1] * 52 + [-1] * 48
    pictures = [
        s * typical + n * rng.normal(size=(32, 32)) for s, n in zip(signs, noise, strict=True)
    ]
    looks = np.stack([look_of(one.astype(np.float32)) for one in pictures])
    assert np.flatnonzero(looks_inverted(looks)).tolist() == list(range(52, 100))


def test_one_far_spacing_is_an_outlier_and_a_second_protocol_is_not():
    group = {n: seen(spacing=(0.1 + 0.001 * (n % 3), 0.1)) for n in range(30)}
    assert outliers(group) == []
    wrong = {**group, 30: seen(spacing=(1.0, 1.0)), 31: seen(shape=(1, 64, 512))}
    found = kinds(outliers(wrong))
    assert found["spacing_outliers"] == ((30,),)
    assert found["size_outliers"] == ((31,),)
    both = group | {30 + n: seen(spacing=(1.0, 1.0)) for n in range(10)}
    assert outliers(both) == []


def test_images_that_show_nothing():
    group = {
        1: seen(),
        2: seen(constant=True, values=(7.0, 7.0, 7.0), num_values=1),
        3: seen(values=(0.0, 0.0, 2.0)),
        4: seen(num_values=2),
        5: seen(axes="zyx", num_constant=4),
    }
    assert kinds(empty_images(group)) == {
        "constant": ((2,),), "nearly_blank": ((3,),), "masks": ((4,),), "constant_slices": ((5,),)
    }  # fmt: skip


def test_headers_paths_and_places_that_name_somebody():
    group = {
        1: seen(format="DICOM", identifying=("PatientName",), in_path=("PatientID",), at_risk=True),
        2: seen(format="DICOM"),
        3: seen(format="JPEG", remarks=("GPS", "Artist")),
    }
    found = naming(group, {1: "a", 2: "b/19570203", 3: "c"})
    assert kinds(found) == {
        "header_names": ((1,),), "path_names": ((1,),), "path_dates": ((2,),),
        "kinds_with_text": ((1,),), "gps": ((3,),), "picture_metadata": ((3,),),
    }  # fmt: skip
    assert found[0].title.startswith("1 of 2 DICOM headers")
    assert "PatientName 1" in found[0].text


def test_problems_of_series_name_no_file(tmp_path):
    place = {"SeriesInstanceUID": "1.2", "ImagePositionPatient": [0, 0, 0],
             "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}  # fmt: skip
    names = ("Jane.dcm", "Jane-again.dcm")
    paths = {
        n: str(write_dicom(tmp_path / name, grey(n), InstanceNumber=n, **place))
        for n, name in enumerate(names)
    }
    group = {n: seen(format="DICOM") for n in paths}
    ((files, problem),) = series_of(paths, group, 0, lambda *_: nullcontext(lambda count: None))
    assert set(files) == {0, 1}
    assert problem.startswith("duplicate position")
    assert "Jane" not in problem


def test_series_and_selection_are_counted():
    (finding,) = broken_series(
        [((1, 2), ""), ((3, 4), "missing slice: 2 mm"), ((5,), "missing slice: 3 mm")]
    )
    assert finding.files == ((3, 4, 5),)
    assert finding.details == ("2 series: missing slice: # mm",)
    group = {1: seen(facts={"kind": "localizer"}), 2: seen(facts={"kind": "original"})}
    (finding,) = left_out(group)
    assert finding.files == ((1,),)
    assert Selection().why_not({"kind": "localizer"}) in finding.text


def labels(rows, **columns):
    return Labels(columns=tuple(columns.items()), of_file=dict(enumerate(rows, start=1)))


def test_copies_in_two_parts_or_with_two_labels_are_named():
    rows = [
        {"s": "train", "y": "a"}, {"s": "test", "y": "a"}, {"s": "test", "y": "b"},
        {"s": "train", "y": "a"},
    ]  # fmt: skip
    same = [Finding("near_copies", "unsure", "", "", ((1, 2), (2, 3), (1, 4)))]
    found = kinds(crossing_copies(labels(rows, split="s", label="y"), same))
    assert found == {"leak_near_copies": ((1, 2),), "contradictory_near_copies": ((2, 3),)}
    assert crossing_copies(labels(rows), same) == []


def test_folders_can_be_the_classes():
    found, _ = labels_of([], {1: "a/x.png", 2: "a/y.png", 3: "b/x.png"}, "folder")
    assert found.counts == {"a": ((2, None),), "b": ((1, None),)}


@pytest.mark.parametrize(
    ("kind", "command"),
    [("header_names", "medjepa anonymize DIR DIR-deidentified"), ("broken", "")],
)
def test_what_was_found_decides_what_comes_next(kind, command):
    def steps(findings):
        return next_steps(findings, Labels(), target_size=64, has_volumes=False, with_table=False)

    (last,) = steps([])
    assert last.command == "medjepa prepare data=DIR out=STORE data.target_size=64"
    first = steps([Finding(kind, "bad", "", "")])[0]
    assert first.command == command
    assert replace(first, why="") != replace(last, why="")
