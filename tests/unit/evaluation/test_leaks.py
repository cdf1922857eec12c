from dataclasses import replace

import numpy as np
import pytest
from image_files import grey, write_png

from medjepa.config import Config, save_yaml
from medjepa.data import open_store, prepare
from medjepa.data.duplicates import fingerprints
from medjepa.errors import DataError
from medjepa.evaluation.class_rule import ClassRule
from medjepa.evaluation.labelled_data import gather
from medjepa.evaluation.leaks import (
    check_patients,
    check_pretraining,
    check_splits,
    drop_copies,
    drop_near_copies,
)
from medjepa.evaluation.pretraining_images import (
    PretrainingImages,
    check_names,
    pretraining_images,
)
from medjepa.evaluation.protocol import Task


def task(groups):
    return Task(
        label="label",
        target=np.array([0, 1, 0, 1]),
        class_names=("a", "b"),
        groups=groups,
        train=np.array([0, 1]),
        test=np.array([2, 3]),
    )


def test_a_patient_on_both_sides_is_refused_by_name():
    with pytest.raises(DataError, match=r"1 groups .*p2.*split"):
        check_patients(task(("p1", "p2", "p2", "p3")))


def test_patients_apart_and_patients_unknown():
    assert check_patients(task(("p1", "p2", "p3", "p3"))).passed is True
    some = check_patients(replace(task(("p1", "p2", "p3", "x")), num_unnamed=1))
    assert some.passed is None
    assert "1 image names none" in some.text
    unknown = check_patients(task(None))
    assert unknown.passed is None
    assert "too narrow" in unknown.text


def test_training_copies_of_test_images_are_left_out_and_counted():
    keys = ["x", "y", "x", "z"]
    train, check = drop_copies(keys, np.array([0, 1]), np.array([2, 3]))
    assert train.tolist() == [1]
    assert check.passed is False
    assert "1 training images" in check.text
    train, check = drop_copies(["x", "y", "v", "z"], np.array([0, 1]), np.array([2, 3]))
    assert train.tolist() == [0, 1]
    assert check.passed is True
    _, check = drop_copies(["x", "y", "v", "z"], np.array([0, 1]), np.array([2, 3]), 2)
    assert check.passed is False
    assert "2 files lie in the test and" in check.text


def test_every_split_is_looked_at_and_the_worst_is_told():
    """The second split alone has a copy and a near copy across, and a test image seen before."""
    images = prints(1, 2, 3, 4, 5, 1)
    first = replace(
        task(None), target=np.arange(6) % 2, groups=tuple("abcdef"), train=np.array([0, 4]),
        test=np.array([2, 3]),
    )  # fmt: skip
    second = replace(first, train=np.array([0, 2, 4]), test=np.array([1, 3, 5]))
    pictures = ["p", "q", "q", "r", "s", "t"]
    clean, checks, pairs = check_splits(
        [first, second, first], pictures, images, list("uvwxyz"), {"v"}, None
    )
    assert [one.train.tolist() for one in clean] == [[0, 4], [4], [0, 4]]
    assert [one.test.tolist() for one in clean] == [[2, 3], [1, 3, 5], [2, 3]]
    assert [one.passed for one in checks] == [True, False, False, False]
    assert "used 1 of the 3 test images" in checks[3].text
    assert pairs == [(0, 5)]


def test_a_training_part_of_copies_alone_is_refused_with_its_reason():
    with pytest.raises(DataError, match=r"all 2 training images .* copies .*split="):
        check_splits(
            [task(None)], ["p", "q", "p", "q"], prints(1, 2, 1, 2), list("uvwx"), None, None
        )


def test_a_test_image_that_was_seen_itself_is_counted_once():
    keys, test = ["a", "b", "c", "d"], np.array([2, 3])
    seen = check_pretraining(
        keys, test, {"c"}, prints=prints(1, 2, 3, 4), groups=["p", "q", "r", "s"]
    )
    assert "used 1 of the 2 test images" in seen.text
    assert "another form" not in seen.text and "other images of" not in seen.text


def test_test_images_that_pretraining_used_are_counted():
    keys, test = ["a", "b", "c"], np.array([1, 2])
    assert check_pretraining(keys, test, None).passed is None
    assert check_pretraining(keys, test, {"a", "x"}).passed is True
    seen = check_pretraining(keys, test, {"a", "c"})
    assert seen.passed is False
    assert "1 of the 2" in seen.text


def prints(*seeds):
    """Fingerprints of pictures; the same seed gives the same picture a little changed."""
    rng = np.random.default_rng(99)
    pictures = [np.random.default_rng(seed).uniform(0, 255, (32, 32)) for seed in seeds]
    return fingerprints(np.stack([p * 0.8 + 9 + rng.normal(0, 2, p.shape) for p in pictures]))


def test_training_images_in_another_form_are_left_out_and_listed():
    train, check, pairs = drop_near_copies(prints(1, 2, 3, 1), np.array([0, 1]), np.array([2, 3]))
    assert train.tolist() == [1] and pairs == [(0, 3)]
    assert check.passed is False and "1 training image shows" in check.text
    train, check, pairs = drop_near_copies(prints(1, 2, 3, 4), np.array([0, 1]), np.array([2, 3]))
    assert train.tolist() == [0, 1] and pairs == [] and check.passed is True


def test_no_number_of_copies_is_too_large():
    one = prints(1)
    everything = np.repeat(one, 701, axis=0)
    train, check, pairs = drop_near_copies(everything, np.arange(400), np.arange(400, 701))
    assert (len(train), len(pairs)) == (0, 400 * 301)  # more than `near_pairs` lists by itself
    assert "400 training images" in check.text


def test_pretraining_on_a_test_image_in_another_form_or_on_its_patient_is_told():
    keys, test = ["a", "b", "c", "d"], np.array([2, 3])
    near = check_pretraining(keys, test, {"a"}, prints=prints(1, 2, 1, 4))
    assert near.passed is False and "used 1 of the 2 test images in another form" in near.text
    both = check_pretraining(keys, test, {"a", "d"}, prints=prints(1, 2, 1, 4))
    assert "used 1 of the 2 test images and used 1 of them in another form" in both.text
    patient = check_pretraining(keys, test, {"a"}, groups=["p", "q", "r", "p"])
    assert patient.passed is False and "1 patients" in patient.text
    apart = check_pretraining(
        keys, test, {"a"}, prints=prints(1, 2, 3, 4), groups=["p", "q", "r", "s"]
    )
    assert apart.passed is True


def before(*seeds, missing=0):
    return PretrainingImages(
        prints=prints(*seeds), keys=tuple(f"p{seed}" for seed in seeds), num_missing=missing
    )


def test_pretraining_elsewhere_on_a_test_image_in_another_form_is_told():
    keys, test = ["a", "b", "c", "d"], np.array([2, 3])
    here = prints(1, 2, 3, 4)
    seen = check_pretraining(keys, test, {"p3", "p9"}, prints=here, before=before(3, 9))
    assert seen.passed is False and "1 of the 2 test images in another form" in seen.text
    assert before(3, 9).near(here, keys, test) == [("p3", 2)]
    # What was evaluated under its own content hash is the same file, and counted as such.
    assert before(3).near(here, ["a", "b", "p3", "d"], test) == []
    clean = check_pretraining(keys, test, {"p8", "p9"}, prints=here, before=before(8, missing=1))
    assert clean.passed is True and "among 1; 1 are no longer here" in clean.text
    gone = check_pretraining(keys, test, {"p9"}, prints=here, before=before_nothing())
    assert gone.passed is True and "other forms were not looked for" in gone.text


def before_nothing():
    return PretrainingImages(prints=np.zeros((0, 1), np.float32), keys=(), num_missing=1)


def test_the_images_of_a_run_are_found_in_its_store_and_in_the_cache(tmp_path):
    for name, seeds in (("a", (1, 2, 3)), ("b", (4, 5))):
        for seed in seeds:
            write_png(tmp_path / name / f"{seed}.png", grey(seed, (40, 40)))
    prepare(tmp_path / "a", tmp_path / "store", size=32, num_workers=0)
    prepare(tmp_path / "b", tmp_path / "cache" / "stores" / "0", size=32, num_workers=0)
    run = tmp_path / "run"
    run.mkdir()
    save_yaml(replace_source(Config(), tmp_path / "store"), run / "config.yaml")
    first, second = open_store(tmp_path / "store"), open_store(tmp_path / "cache/stores/0")
    used = {*first.keys[:2], *second.keys, "elsewhere"}
    found = pretraining_images(used, [run], tmp_path / "cache")
    assert set(found.keys) == used - {"elsewhere"} and found.num_missing == 1
    assert len(found.prints) == 4
    nowhere = pretraining_images(used, [tmp_path / "none"], tmp_path / "none")
    assert nowhere.keys == () and nowhere.num_missing == 5


def replace_source(config, path):
    return replace(config, data=replace(config.data, data_dir=str(path)))


def test_a_test_patient_may_bear_the_name_of_one_of_pretraining():
    before = PretrainingImages(
        prints=np.zeros((2, 1), np.float32),
        keys=("a", "b"),
        num_missing=0,
        patients={"a": "p1", "b": "p2"},
    )
    names = {"x": "p1", "y": "p3", "b": "p2", "z": "p2"}
    keys, tested = ["x", "y", "b", "z"], np.array([0, 1, 3])
    found = check_names(before, names, keys, tested)
    # p2's image of pre-training is evaluated too: another check tells of that.
    assert [one.passed for one in found] == [None]
    assert found[0].text.startswith("1 test patient has")
    assert check_names(before, names, keys, np.array([1, 3])) == []


def test_a_class_of_two_spellings_is_refused_unless_it_is_said_to_be_one(tmp_path):
    for number in range(4):
        write_png(tmp_path / "in" / f"{number}.png", grey(number))
    rows = ["file,dx", "0.png,Ill", "1.png,ill", "2.png,well", "3.png,well"]
    (tmp_path / "in" / "labels.csv").write_text("\n".join(rows) + "\n")
    store = open_store(prepare(tmp_path / "in", tmp_path / "out", size=8, num_workers=0).out)

    def read(classes):
        return gather(
            [store], "dx", group=None, split=None, table=None, test_fraction=0.5, seed=0,
            classes=classes,
        )  # fmt: skip

    with pytest.raises(DataError, match="'Ill' and 'ill'"):
        read(None)
    found = read(ClassRule(("Ill", "ill")))
    assert found.task.class_names == ("not Ill or ill", "Ill or ill")
