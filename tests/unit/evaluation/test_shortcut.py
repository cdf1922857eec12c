from dataclasses import replace

import numpy as np
import pytest

from medjepa.errors import DataError
from medjepa.evaluation.assess import assess
from medjepa.evaluation.columns import OTHER, coded, find_columns
from medjepa.evaluation.protocol import Features, Task
from medjepa.evaluation.results import PRETRAINED, UNTRAINED
from medjepa.evaluation.shortcut import _concentration

FEW = {"fractions": (), "num_resamples": 200}


@pytest.fixture(autouse=True)
def _few_settings(monkeypatch):
    # Every fit goes through the type checker here: fewer of them.
    monkeypatch.setattr("medjepa.evaluation.probes.C_GRID", (1e-2, 1.0))
    monkeypatch.setattr("medjepa.evaluation.shortcut.COARSE_GRID", (1e-2, 1.0))


def study(*, agreement, num_patients=120, seed=0):
    """Two sites; `agreement` of the patients have the class of their site. Embeddings see the site.

    Pre-trained: the site and a little of the label. Untrained: noise.
    """
    rng = np.random.default_rng(seed)
    target = np.arange(num_patients) % 2
    site = np.where(rng.random(num_patients) < agreement, target, 1 - target)
    order = rng.permutation(num_patients)
    task = Task(
        label="finding",
        target=target.astype(np.int64),
        class_names=("healthy", "ill"),
        groups=tuple(f"p{n}" for n in range(num_patients)),
        train=np.sort(order[: num_patients // 2]),
        test=np.sort(order[num_patients // 2 :]),
    )
    ours = rng.normal(size=(num_patients, 4))
    ours[:, 0] += 4 * site
    ours[:, 1] += 1.0 * target
    methods = [
        Features(key=PRETRAINED, arrays=(ours,), seeds=(0,)),
        Features(key=UNTRAINED, arrays=(rng.normal(size=(num_patients, 4)),), seeds=(0,)),
    ]
    return task, methods, [f"hospital {number}" for number in site]


def test_what_is_said_of_a_column_is_true_of_quarters_and_of_values_of_single_patients():
    task, _, _ = study(agreement=1.0)
    days = [f"2021-{1 + 6 * (n % 2):02d}-{1 + n % 28:02d}" for n in range(120)]
    quarters = coded("date", days, task.groups)
    assert quarters.is_quartered
    assert "have a date in one and the same quarter, which no" in _concentration(
        task, quarters, [1]
    )
    single = coded("ward", [f"w{n}" for n in range(120)], task.groups)
    assert "(60 of 60 patients) have a ward that no other patient has" in _concentration(
        task, single, [1]
    )
    two = coded("ward", [f"w{n % 2}" for n in range(120)], task.groups)
    assert "have one and the same ward, which no other class has" in _concentration(task, two, [1])


def test_a_planted_shortcut_is_found_and_the_verdict_is_cannot_tell():
    task, methods, site = study(agreement=1.0)
    without = assess(methods, task, **FEW)
    assert without.verdict.outcome == "helped"  # what everybody would have published
    report = assess(methods, task, columns=[coded("site", site, task.groups)], **FEW)
    assert report.verdict.outcome == "cannot tell"
    assert "cannot be separated from site" in report.verdict.sentence
    assert "60 of 60 images" in report.verdict.sentence
    assert "hospital" not in report.verdict.sentence
    assert report.verdict.detectable is None
    found = report.shortcuts[0]
    assert not found.separable
    assert found.num_usable == 0
    assert found.alone.low > 0.9
    assert found.embedding[PRETRAINED].low > 0.9
    assert found.embedding[UNTRAINED].low < 0.5 < found.embedding[UNTRAINED].high
    assert found.within == {}


def test_where_each_site_has_both_classes_the_label_is_tested_within_them():
    task, methods, site = study(agreement=0.8, num_patients=200)
    report = assess(methods, task, columns=[coded("site", site, task.groups)], **FEW)
    found = report.shortcuts[0]
    assert found.separable
    assert found.num_usable == 2
    agreement = np.mean(
        [int(name[-1]) == label for name, label in zip(site, task.target, strict=True)]
    )
    assert found.alone.value == pytest.approx(agreement, abs=0.03)
    # The site is worth nothing within a site: what is left is the label's own signal.
    overall = report.method(PRETRAINED).probe.auc.value
    assert found.within[PRETRAINED].value < overall
    assert found.within[PRETRAINED].low > 0.5
    assert found.num_within == len(task.test)
    assert report.verdict.outcome == "helped"


def test_a_column_that_has_nothing_to_do_with_the_label_changes_nothing():
    outcomes = []
    for seed in range(4):
        task, methods, site = study(agreement=0.5, num_patients=80, seed=seed)
        found = assess(
            methods,
            task,
            columns=[coded("site", site, task.groups)],
            fractions=(),
            num_resamples=100,
        ).shortcuts[0]
        outcomes.append(found.alone.low <= 0.5)
        assert found.separable
    assert sum(outcomes) >= 3


def test_a_column_is_judged_on_patients_that_it_was_not_learnt_from():
    """Many values that say nothing: learnt from the same patients they would seem to say much."""
    task, methods, _ = study(agreement=0.5, num_patients=160)
    rng = np.random.default_rng(0)
    wide = [replace(one, arrays=(rng.normal(size=(160, 40)),)) for one in methods]
    cells = [f"scanner {n}" for n in rng.permutation(np.arange(160) % 20)]
    found = assess(wide, task, columns=[coded("scanner", cells, task.groups)], **FEW).shortcuts[0]
    assert found.alone.low < 0.5
    for key in (PRETRAINED, UNTRAINED):
        assert found.embedding[key].low < 0.5 < found.embedding[key].high
    # Each scanner has four patients of a class or so: no class can be tested within one, but as
    # the column says nothing of the label, that is no reason to doubt it.
    assert found.separable


def test_images_of_one_patient_are_learnt_from_or_tested_and_count_once():
    task, methods, site = study(agreement=0.8, num_patients=120)
    rows = np.repeat(np.arange(120), np.where(np.array(site) == "hospital 0", 5, 1))
    several = replace(
        task,
        target=task.target[rows],
        groups=tuple(task.groups[i] for i in rows),
        train=np.flatnonzero(np.isin(rows, task.train)),
        test=np.flatnonzero(np.isin(rows, task.test)),
    )
    # A number of its own for each patient tells him, and nothing else.
    rng = np.random.default_rng(1)
    marks = rng.normal(size=(120, 30))[rows]
    asked = [replace(one, arrays=(marks,)) for one in methods]
    cells = [site[i] for i in rows]
    one = assess(asked, several, columns=[coded("site", cells, several.groups)], **FEW).shortcuts[0]
    assert one.embedding[UNTRAINED].low < 0.5 < one.embedding[UNTRAINED].high
    single = assess(methods, task, columns=[coded("site", site, task.groups)], **FEW).shortcuts[0]
    assert one.patients == single.patients
    assert sum(map(sum, one.patients)) == 120


def test_values_of_one_patient_are_no_place_where_classes_meet():
    task, methods, _ = study(agreement=0.5)
    rare = np.arange(120) < 16  # each of eight ill and eight healthy has a site of his own
    site = [f"own {n}" if rare[n] else "AB"[label] for n, label in enumerate(task.target)]
    found = assess(methods, task, columns=[coded("site", site, task.groups)], **FEW).shortcuts[0]
    assert (found.num_usable, found.separable) == (0, False)
    assert found.patients[OTHER] == (0, 0)
    # One value and others of one patient each: there is nothing to tell apart.
    site = [f"own {n}" if n % 4 == 0 else "A" for n in range(120)]
    found = assess(methods, task, columns=[coded("site", site, task.groups)], **FEW).shortcuts[0]
    assert found.embedding == {}


def test_what_a_column_says_of_the_label_is_counted_by_patients():
    """At A most patients are ill, but the healthy ones have eight images each; at B fewer are."""
    target = np.repeat([0, 1, 0, 1], [8, 24, 24, 16])
    images = np.repeat([8, 1, 1, 1], [8, 24, 24, 16])
    rows = np.repeat(np.arange(72), images)
    task = Task(
        label="finding",
        target=target[rows].astype(np.int64),
        class_names=("healthy", "ill"),
        groups=tuple(f"p{n}" for n in rows),
        train=np.flatnonzero(rows % 2 == 0),
        test=np.flatnonzero(rows % 2 == 1),
    )
    noise = np.random.default_rng(0).normal(size=(len(rows), 2))
    methods = [Features(key=key, arrays=(noise,), seeds=(0,)) for key in (PRETRAINED, UNTRAINED)]
    site = ["A" if n < 32 else "B" for n in rows]
    found = assess(methods, task, columns=[coded("site", site, task.groups)], **FEW).shortcuts[0]
    # A says "ill": right for 24 of 40 images of the ill, wrong for 64 of 88 of the healthy.
    above, equal = 24 / 40 * 24 / 88, 24 / 40 * 64 / 88 + 16 / 40 * 24 / 88
    assert found.alone.value == pytest.approx(above + equal / 2, abs=0.05)
    assert above + equal / 2 < 0.45


def test_within_values_images_keep_their_patients():
    """Copies of test images change no interval within the values either."""
    task, methods, site = study(agreement=0.8, num_patients=200)
    rows = np.concatenate([np.arange(200), task.test])
    again = replace(
        task,
        target=task.target[rows],
        groups=tuple(task.groups[i] for i in rows),
        test=np.concatenate([task.test, np.arange(200, len(rows))]),
    )
    once = assess(methods, task, columns=[coded("site", site, task.groups)], **FEW).shortcuts[0]
    copied = [replace(one, arrays=(one.arrays[0][rows],)) for one in methods]
    cells = [site[i] for i in rows]
    twice = assess(copied, again, columns=[coded("site", cells, again.groups)], **FEW).shortcuts[0]
    for key in (PRETRAINED, UNTRAINED):
        first, second = once.within[key], twice.within[key]
        assert (second.value, second.low, second.high) == pytest.approx(
            (first.value, first.low, first.high)
        )


def test_a_site_with_too_few_patients_of_a_class_separates_nothing():
    """Four healthy patients among the ill ones of a site are no test of the finding."""
    task, methods, _ = study(agreement=0.5)
    site = ["ill's" if label else "healthy's" for label in task.target]
    for n in np.flatnonzero(task.target == 0)[:4]:
        site[n] = "ill's"
    found = assess(methods, task, columns=[coded("site", site, task.groups)], **FEW).shortcuts[0]
    assert (found.num_usable, found.separable) == (0, False)
    site[int(np.flatnonzero(task.target == 0)[4])] = "ill's"
    found = assess(methods, task, columns=[coded("site", site, task.groups)], **FEW).shortcuts[0]
    assert (found.num_usable, found.separable) == (1, True)


def test_one_class_of_three_at_a_site_of_its_own_is_enough():
    task, methods, _ = study(agreement=0.5)
    third = np.arange(len(task.target)) % 3
    three = replace(task, target=third, class_names=("a", "b", "c"))
    site = ["x" if label == 2 else "yz"[n % 2] for n, label in enumerate(third)]
    report = assess(methods, three, columns=[coded("scanner", site, task.groups)], **FEW)
    assert report.verdict.outcome == "cannot tell"
    assert "'c'" in report.verdict.sentence


def test_the_sites_names_change_nothing():
    task, methods, site = study(agreement=0.8)
    renamed = [{"hospital 0": "z", "hospital 1": "a"}[name] for name in site]
    first, second = (
        assess(methods, task, columns=[coded("site", one, task.groups)], **FEW).shortcuts[0]
        for one in (site, renamed)
    )
    assert first.alone == second.alone
    assert first.within[PRETRAINED] == second.within[PRETRAINED]


def test_columns_are_found_by_what_their_names_say():
    cells = {
        "file": ["a.png", "b.png", "c.png", "d.png"] * 3,
        "label": ["x", "y"] * 6,
        "patient": [str(n) for n in range(12)],
        "ViewPosition": ["AP", "PA", "PA", "AP"] * 3,
        "patient_age": [str(n) for n in range(12)],
        "stage": ["1", "2"] * 6,  # "age" is in the word, but is no word of it
        "subtype": ["p", "q"] * 6,
        "site": ["one"] * 12,
        "view": ["AP", "PA", "PA", "AP"] * 3,
        "scanner": [str(n) for n in range(12)],
    }
    found = find_columns(cells, cells["patient"], asked=None, leave_out=["label", "patient"])
    # `view` groups the images as ViewPosition does; each scanner has one patient.
    assert [column.name for column in found] == ["ViewPosition"]
    asked = find_columns(cells, cells["patient"], asked=["subtype"], leave_out=["label"])
    assert [column.name for column in asked] == ["subtype"]
    with pytest.raises(DataError, match="'sit'"):
        find_columns(cells, None, asked=["sit"], leave_out=[])


def test_values_of_one_patient_are_one_and_addresses_count_by_host():
    cells = ["https://a.org/1", "https://A.org/2", "b", "b", "c", "d", "", "NA"]
    column = coded("source", cells, [str(n) for n in range(8)])
    assert column.codes[0] == column.codes[1] > OTHER
    assert column.codes[2] == column.codes[3] > OTHER
    assert column.codes[4] == column.codes[5] == OTHER
    # That two patients have none is a value of its own; that one has none is nothing.
    assert column.codes[6] == column.codes[7] > OTHER
    assert coded("source", [*cells[:7], "b"], None).codes[6] == -1
    assert (column.num_common, column.num_rare) == (3, 2)


def test_many_numbers_become_quarters():
    column = coded("age", [str(n) for n in range(40)], None)
    assert column.num_common == 4
    assert set(np.bincount(column.codes)[1:]) == {10}
