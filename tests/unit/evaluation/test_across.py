from dataclasses import replace

import numpy as np
import pytest

from medjepa.config.evaluation import EvaluationConfig
from medjepa.errors import DataError
from medjepa.evaluation.across import cross_sites
from medjepa.evaluation.across_sections import across_sections, subgroup_sections
from medjepa.evaluation.columns import coded
from medjepa.evaluation.context import Context
from medjepa.evaluation.protocol import Features, measure
from medjepa.evaluation.resamples import Resamples
from medjepa.evaluation.results import PRETRAINED
from medjepa.evaluation.robustness_index import robustness_index
from medjepa.evaluation.subgroups import parted
from medjepa.evaluation.task import Task


@pytest.fixture(autouse=True)
def _few_settings(monkeypatch):
    monkeypatch.setattr("medjepa.evaluation.label_efficiency.COARSE_GRID", (1e-2, 1.0))
    monkeypatch.setattr("medjepa.evaluation.probes.C_GRID", (1e-2, 1.0))


def sites(num_patients=240, num_sites=2, *, turned=0.0, seed=0):
    """The label lies along one axis; at the last site it is turned away from it."""
    rng = np.random.default_rng(seed)
    site = np.arange(num_patients) % num_sites
    target = (np.arange(num_patients) // num_sites % 2).astype(np.int64)
    angle = np.where(site == num_sites - 1, turned, 0.0)
    x = rng.normal(size=(num_patients, 5))
    x[:, 0] += 2.5 * target * np.cos(angle)
    x[:, 1] += 2.5 * target * np.sin(angle)
    x[:, 2] += 3.0 * site  # the site itself is plain to see
    part = np.arange(num_patients) // (2 * num_sites) % 2
    task = Task(
        label="finding",
        target=target,
        class_names=("no", "yes"),
        groups=tuple(f"p{n}" for n in range(num_patients)),
        train=np.flatnonzero(part == 0),
        test=np.flatnonzero(part == 1),
    )
    return Features(key=PRETRAINED, arrays=(x,), seeds=(0,)), task, site.astype(np.int64)


def test_a_planted_effect_of_the_site_is_found():
    features, task, site = sites(turned=np.pi / 2)
    found = cross_sites([features], task, site, num_resamples=300)
    assert [(one.learnt, one.tested) for one in found] == [((0,), 1), ((1,), 0)]
    for one in found:
        assert one.drop.high < -0.15  # away is worse than at home
        assert one.gap.high < -0.15  # and worse than what is learnt there
        assert one.home.low > 0.85
        assert one.native.low > 0.85
        assert one.num_test == one.num_test_patients == 60


def test_sites_that_are_alike_show_no_drop():
    inside, homes = 0, []
    for seed in range(6):
        features, task, site = sites(turned=0.0, seed=seed)
        for one in cross_sites([features], task, site, num_resamples=200):
            inside += one.drop.low <= 0 <= one.drop.high
            homes.append(one.home.value)
    assert inside >= 10
    # Means that lie 2.5 apart: an AUC of .961 for who knows the axis, known to .026 by 30 and 30
    # patients (Hanley and McNeil 1982); the axis learnt from 60 in 5 dimensions costs about .01.
    assert np.mean(homes) == pytest.approx(0.951, abs=3 * 0.026 / np.sqrt(len(homes)))
    assert min(homes) > 0.951 - 3.5 * 0.026


def with_copies(features, task, site):
    """Every test image a second time, as another image of its patient."""
    rows = np.concatenate([np.arange(len(task.target)), task.test])
    copies = np.arange(len(task.target), len(rows))
    again = replace(
        task,
        target=task.target[rows],
        groups=tuple(task.groups[i] for i in rows),
        test=np.concatenate([task.test, copies]),
    )
    return replace(features, arrays=(features.arrays[0][rows],)), again, site[rows]


def test_copies_of_test_images_change_no_interval():
    given = sites(120, turned=1.0)
    once = cross_sites([given[0]], *given[1:], num_resamples=100)
    features, task, site = with_copies(*given)
    for one, two in zip(once, cross_sites([features], task, site, num_resamples=100), strict=True):
        assert (two.num_test, two.num_test_patients) == (2 * one.num_test, one.num_test_patients)
        assert one.drop.value == pytest.approx(one.away.value - one.home.value)
        assert one.gap.value == pytest.approx(one.away.value - one.native.value)
        assert one.home.value != one.native.value
        for name in ("home", "away", "drop", "native", "gap"):
            first, second = getattr(one, name), getattr(two, name)
            assert (second.value, second.low, second.high) == pytest.approx(
                (first.value, first.low, first.high)
            )


def test_home_is_the_mean_over_sites_whatever_their_order():
    features, task, site = sites(num_sites=3, turned=np.pi / 2)
    found = cross_sites([features], task, site, num_resamples=50)
    turned_round = cross_sites([features], task, 2 - site, num_resamples=50)
    other = {(one.learnt, one.tested): one for one in turned_round}
    for one in found:
        twin = other[tuple(sorted(2 - number for number in one.learnt)), 2 - one.tested]
        assert (one.home.value, one.away.value) == pytest.approx((twin.home.value, twin.away.value))


def test_home_and_away_are_resampled_independently():
    features, task, site = sites()
    one = cross_sites([features], task, site, num_resamples=2000)[0]
    expected = np.hypot(one.home.standard_error, one.away.standard_error)
    assert one.drop.standard_error == pytest.approx(expected, rel=0.08)


def test_a_site_of_few_test_patients_has_numbers_without_intervals():
    """Of seven patients all right, a bootstrap would call the gain certain."""
    for num_patients, has_interval in ((72, False), (80, True)):  # 18 and 20 of each in the test
        features, task, site = sites(num_patients)
        for one in cross_sites([features], task, site, num_resamples=50):
            assert np.isfinite([one.away.value, one.home.value, one.drop.value]).all()
            for number in (one.away, one.home, one.drop, one.native, one.gap):
                assert (number.low is not None) is has_interval


def test_of_three_sites_each_is_left_out_once():
    features, task, site = sites(num_sites=3, turned=np.pi / 2)
    found = cross_sites([features], task, site, num_resamples=100)
    out = {one.tested: one for one in found if len(one.learnt) == 2}
    assert set(out) == {0, 1, 2}
    assert out[2].away.value < out[0].away.value
    assert not set(task.test[site[task.test] == 0]) & set(task.train)
    assert out[0].num_train == (site[task.train] != 0).sum()


def test_the_robustness_index_says_who_is_near():
    rng = np.random.default_rng(0)
    target, site = np.arange(200) % 2, np.arange(200) // 2 % 2
    by_class = np.eye(4)[target] * 5 + rng.normal(size=(200, 4)) * 0.3
    by_site = np.eye(4)[site] * 5 + rng.normal(size=(200, 4)) * 0.3
    noise = rng.normal(size=(200, 4))
    options = {"groups": None, "num_resamples": 100}
    good, chance = robustness_index(by_class, target, site, **options)
    assert chance == pytest.approx(0.5, abs=0.01)
    assert good.value > 0.99
    assert robustness_index(by_site, target, site, **options)[0].value < 0.01
    middle = robustness_index(noise, target, site, **options)[0]
    assert middle.low < 0.5 < middle.high
    # Images of one patient are near each other and count for nothing.
    twins = np.repeat(noise, 2, axis=0)
    names = [f"p{n}" for n in np.repeat(np.arange(200), 2)]
    doubled = robustness_index(
        twins, np.repeat(target, 2), np.repeat(site, 2), names, num_resamples=100
    )[0]
    assert doubled.value == pytest.approx(middle.value, abs=0.05)


def test_the_index_has_no_interval_where_nothing_varies_or_few_patients_stand():
    target, site = np.arange(120) % 2, np.arange(120) // 2 % 2
    by_class = np.eye(4)[target] + 0.01 * np.random.default_rng(0).normal(size=(120, 4))
    found, _ = robustness_index(by_class, target, site, None, k=5)
    assert (found.value, found.low) == (1, None)
    noise = np.random.default_rng(0).normal(size=(120, 4))
    for num, has_interval in ((19, False), (20, True)):
        names = [f"p{n % num}" for n in range(120)]
        found, _ = robustness_index(noise, target, site, names, k=5)
        assert (found.low is not None) is has_interval


def test_the_interval_of_the_index_holds_what_such_studies_give_on_average():
    """Patients with two images each, of a class and a site that both show."""

    def study(seed):
        rng = np.random.default_rng(seed)
        target, site = rng.integers(2, size=(2, 60))
        middle = rng.normal(size=(60, 6)) + np.eye(2, 6)[target] * 2 + np.eye(2, 6, 2)[site] * 2
        x = np.repeat(middle, 2, axis=0) + 0.5 * rng.normal(size=(120, 6))
        names = [f"p{n // 2}" for n in range(120)]
        return robustness_index(
            x, np.repeat(target, 2), np.repeat(site, 2), names, num_resamples=60, seed=seed
        )[0]

    found = [study(seed) for seed in range(60)]
    truth = np.mean([one.value for one in found])
    held = sum(one.low <= truth <= one.high for one in found)
    # With neighbours that stay while patients are resampled it is about 40.
    assert held >= 51
    spread = np.std([one.value for one in found], ddof=1)
    assert np.mean([one.standard_error for one in found]) == pytest.approx(spread, rel=0.25)


def slow_index(x, target, site, group, k):
    """Image by image, as the paper says it."""
    wanted = unwanted = 0
    for i, own in enumerate(x):
        cosine = [own @ other / np.linalg.norm(own) / np.linalg.norm(other) for other in x]
        near = [j for j in np.argsort(cosine)[::-1] if group[j] != group[i]]
        # The k nearest, of which those of the same patient count for nothing.
        wanted += sum(target[j] == target[i] and site[j] != site[i] for j in near[:k])
        unwanted += sum(target[j] != target[i] and site[j] == site[i] for j in near[:k])
    return wanted / (wanted + unwanted)


def test_the_robustness_index_is_the_one_counted_by_hand():
    rng = np.random.default_rng(0)
    target, site = rng.integers(2, size=40), rng.integers(3, size=40)
    x = rng.normal(size=(40, 4)) + np.eye(2, 4)[target] + 0.5 * np.eye(3, 4)[site]
    x *= rng.uniform(0.1, 10, size=(40, 1))  # lengths say nothing
    group = np.arange(40) // 2
    names = [f"p{g}" for g in group]
    found, _ = robustness_index(x, target, site, names, k=5, num_resamples=100)
    assert found.value == pytest.approx(slow_index(x, target, site, group, 5))
    # Images that stand there twice, with twice as many neighbours: the same study.
    twice = np.tile(np.arange(40), 2)
    again, _ = robustness_index(
        x[twice], target[twice], site[twice], names * 2, k=10, num_resamples=100
    )
    assert (again.value, again.low, again.high) == pytest.approx(
        (found.value, found.low, found.high)
    )


def context(features, task, cells, columns=(), **settings):
    resamples = Resamples.draw([task], num_resamples=200, seed=0)
    return Context(
        features=(features,),
        measured=(measure(features, [task], resamples),),
        comparisons=(),
        tasks=(task,),
        resamples=resamples,
        columns=columns,
        cells=cells,
        settings=EvaluationConfig(**settings),
        num_resamples=200,
    )


def test_the_table_names_no_hospital_and_a_missing_column_is_an_error():
    features, task, site = sites(turned=np.pi / 2)
    cells = {"hospital": [f"St. Elsewhere {n}" for n in site]}
    table, index = across_sections(context(features, task, cells, across="hospital"))
    assert [row[1] for row in table.rows] == ["site 1 → site 2", "site 2 → site 1"]
    for row in table.rows:
        cell = dict(zip(table.columns, row, strict=True))
        assert cell["Home"].low > cell["Away"].high
        assert cell["Native"].low > cell["Away"].high
        assert cell["Drop"].value == pytest.approx(cell["Away"].value - cell["Home"].value)
    found = dict(zip(index.columns, index.rows[0], strict=True))
    assert found["Robustness index"].value < 0.5
    assert "Elsewhere" not in repr(table) + repr(index)
    with pytest.raises(DataError, match="the table has hospital"):
        across_sections(context(features, task, cells, across="clinic"))
    assert across_sections(context(features, task, cells)) == []


def test_small_subgroups_are_shown_and_marked_and_the_gap_is_found():
    features, task, _ = sites(400, turned=np.pi / 2)
    rng = np.random.default_rng(1)
    # One sex whose features say nothing.
    sex = np.array(["F", "M"])[np.arange(400) // 8 % 2]
    sex[np.arange(400) % 100 < 4] = "X"
    features.arrays[0][sex == "M"] = rng.normal(size=((sex == "M").sum(), 5))
    # A few who are told without a mistake: best of all, but too few to be called so.
    certain = task.test[sex[task.test] == "X"]
    features.arrays[0][certain, 0] = 100.0 * (2 * task.target[certain] - 1)
    age = [f"{n % 100:03d}Y" for n in range(400)]
    cells = {"sex": list(sex), "age": age}
    columns = (coded("sex", cells["sex"], task.groups),)
    (table,) = subgroup_sections(context(features, task, cells, columns))
    rows = {(row[1], row[2]): row for row in table.rows}
    assert rows["sex", "X"][-1] == "few"
    assert rows["sex", "X"][5].value > 0
    assert rows["sex", "X"][5].low is None
    assert rows["sex", "F"][5].low < rows["sex", "F"][5].high
    assert rows["sex", "F minus M"][6].low > 0.1
    assert sum(row[3] for name, row in rows.items() if name[0] == "sex" and row[3]) == len(
        task.test
    )
    assert ("age", "18 to 39") in rows
    assert ("age", "80 and over") in rows
    # Copies of test images are other images of the same patients: more images, and no more.
    features, task, _ = with_copies(features, task, np.zeros(400))
    whose = np.concatenate([np.arange(400), task.test[: len(task.test) // 2]])
    cells = {name: [column[i] for i in whose] for name, column in cells.items()}
    columns = (coded("sex", cells["sex"], task.groups),)
    (again,) = subgroup_sections(context(features, task, cells, columns))
    for one, two in zip(table.rows, again.rows, strict=True):
        assert two[4] == one[4]
        for first, second in ((one[5], two[5]), (one[6], two[6])):
            if first is not None:
                assert (second.value, second.low, second.high) == pytest.approx(
                    (first.value, first.low, first.high)
                )


def test_ages_are_read_as_dicom_and_tables_write_them():
    names = parted("PatientAge", ["058Y", "6M", "17", "80", "", "10D", "odd", "39.5"])
    assert names.names == ("0 to 17", "18 to 39", "40 to 59", "80 and over")
    assert names.codes.tolist() == [2, 0, 0, 3, -1, 0, -1, 1]


def test_a_hospitals_name_is_not_shown_and_a_sex_is():
    cells = ["St Mary", "Charite", "St Mary", ""]
    for name in ("site", "hospital", "scanner"):
        found = parted(name, cells)
        assert found.names == ("value 1", "value 2")
        assert found.codes.tolist() == [1, 0, 1, -1]
    assert parted("sex", ["F", "M", "F", ""]).names == ("F", "M")


def test_ages_with_a_unit_are_years():
    # 200 months are 16.7 years, 60 weeks 1.2, 800 days 2.2; without a unit years are meant.
    found = parted("age", ["200M", "60W", "800D", "058Y", "200", "20"])
    named = [found.names[code] for code in found.codes]
    assert named == ["0 to 17", "0 to 17", "0 to 17", "40 to 59", "80 and over", "18 to 39"]
