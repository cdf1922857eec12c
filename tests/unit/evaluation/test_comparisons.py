"""The table of paired tests agrees with the bootstrap's table and says when it cannot tell."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from medjepa.evaluation.assess import assess
from medjepa.evaluation.comparisons import both_sources
from medjepa.evaluation.protocol import Features, Task
from medjepa.evaluation.results import PIXELS, PRETRAINED, UNTRAINED


@pytest.fixture(autouse=True)
def _few_settings(monkeypatch):
    monkeypatch.setattr("medjepa.evaluation.probes.C_GRID", (1e-2, 1.0))


def study(
    num_patients=120,
    *,
    num_classes=2,
    images=1,
    seed=0,
    leads=(2.0, 0.5, 2.0),
    seeds=(0,),
    alike=0.0,
):
    """`alike`: noise that all methods and seeds share, beside noise of their own of deviation 1."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(num_patients), images)
    target = (group % num_classes).astype(np.int64)
    task = Task(
        label="finding",
        target=target,
        class_names=tuple(f"class {i}" for i in range(num_classes)),
        groups=tuple(f"p{g}" for g in group),
        train=np.flatnonzero(group < num_patients // 2),
        test=np.flatnonzero(group >= num_patients // 2),
    )

    common = alike * rng.normal(size=(len(target), 4))

    def array(lead):
        return np.eye(num_classes, 4)[target] * lead + common + rng.normal(size=(len(target), 4))

    methods = [
        Features(key=PRETRAINED, arrays=tuple(array(leads[0]) for _ in seeds), seeds=seeds),
        Features(key=UNTRAINED, arrays=tuple(array(leads[1]) for _ in seeds), seeds=seeds),
        Features(key=PIXELS, arrays=(array(leads[2]),)),
    ]
    return methods, task


def section(report, key="comparisons"):
    found = report.section(key)
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows], found


def splits(task, num):
    """The split that is there, and others of the same patients."""
    group = np.array(task.groups)
    found = [task]
    for seed in range(1, num):
        names = np.random.default_rng(seed).permutation(np.unique(group))
        tested = np.isin(group, names[: len(names) // 2])
        found.append(replace(task, train=np.flatnonzero(~tested), test=np.flatnonzero(tested)))
    return found


@pytest.mark.parametrize(
    ("num_classes", "images", "seeds", "num_splits"),
    [(2, 1, (0,), 1), (2, 3, (0,), 1), (3, 2, (0,), 1), (2, 1, (0, 1, 2), 1), (3, 1, (0, 1), 3)],
)
def test_delong_and_bootstrap_agree(num_classes, images, seeds, num_splits):
    # Noise is mostly shared: a difference that is not paired would be seen as twice as uncertain.
    options = {"num_classes": num_classes, "images": images, "seeds": seeds}
    methods, task = study(300, alike=2.0, leads=(3.0, 2.0, 3.0), **options)
    tasks = splits(task, num_splits)
    report = assess(methods, tasks, fractions=(), num_resamples=1000)
    rows, found = section(report)
    name = "DeLong" if images == num_splits == 1 else "clustered DeLong"
    for row in rows[1:]:
        drawn, direct = row["difference, bootstrap"], row[f"difference, {name}"]
        assert direct.value == pytest.approx(drawn.value, abs=1e-12)
        # A standard deviation of 1,000 resamples is known to 2 %.
        assert direct.standard_error == pytest.approx(drawn.standard_error, rel=0.1)
    for row, method in zip(rows, report.methods, strict=True):
        drawn, direct = method.probe.auc, row[f"AUC, {name}"]
        assert direct.value == pytest.approx(drawn.value, abs=1e-12)
        assert direct.standard_error == pytest.approx(drawn.standard_error, rel=0.1)
    apart = np.hypot(rows[0][f"AUC, {name}"].standard_error, rows[1][f"AUC, {name}"].standard_error)
    assert rows[1][f"difference, {name}"].standard_error < 0.75 * apart
    assert "n = " in found.note
    assert "percentile" in found.note.lower()


def test_better_worse_and_equal_are_told_apart_after_holm():
    methods, task = study(300)
    rows, found = section(assess(methods, task, fractions=(), num_resamples=100))
    assert [row["pre-trained is"] for row in rows] == ["", "better", "cannot tell", "better"]
    for row in rows[1:]:
        difference = row["difference, DeLong"]
        expected = 2 * norm.sf(abs(difference.value) / difference.standard_error)
        assert row["p"] == pytest.approx(expected)
        assert row["p, Holm"] >= row["p"]
        assert row["seen in 80 %"] == pytest.approx(2.8 * difference.standard_error)
    turned = [
        replace(methods[0], arrays=methods[1].arrays),
        replace(methods[1], arrays=methods[0].arrays),
    ]
    rows, _ = section(assess(turned, task, fractions=(), num_resamples=100))
    assert rows[1]["pre-trained is"] == "worse"
    assert "Holm: corrected for 3 comparisons" in found.note


def test_what_is_significant_alone_is_not_called_so_beside_others():
    methods, task = study(300, seed=4, leads=(1.6, 1.2, 1.2))
    rows, _ = section(assess(methods, task, fractions=(), num_resamples=20))
    assert rows[2]["p"] < 0.05 <= rows[2]["p, Holm"]
    assert rows[2]["pre-trained is"] == "cannot tell"


def test_a_small_test_set_is_called_small_and_a_tiny_one_makes_no_test():
    methods, task = study(100)
    _, found = section(assess(methods, task, fractions=(), num_resamples=100))
    assert "minimal detectable difference" in found.note
    few = replace(task, test=task.test[:15])
    rows, found = section(assess(methods, few, fractions=(), num_resamples=100))
    assert "No test is made: fewer than 20 test patients" in found.note
    assert all(row["p"] is None and row["seen in 80 %"] is None for row in rows)
    assert {row["pre-trained is"] for row in rows[1:]} == {"cannot tell"}


def test_seeds_are_a_source_of_their_own():
    methods, task = study(300, seeds=(0, 1, 2), leads=(1.0, 0.5, 1.0))
    report = assess(methods, task, fractions=(), num_resamples=100)
    rows, _ = section(report, "seeds")
    gain = report.comparisons[0]
    apart = np.std([one.value for one in gain.per_seed], ddof=1)
    assert rows[0]["deviation between seeds"] == pytest.approx(apart)
    both, error = rows[0]["difference, with both"], rows[0]["error from patients"]
    assert both.standard_error == pytest.approx(np.hypot(error, apart / 3**0.5))
    assert rows[0]["share of seeds"] == pytest.approx(apart**2 / 3 / both.standard_error**2)
    assert both.high - both.low > 2 * 1.96 * error
    one_seed, _ = study(100)
    alone = assess(one_seed, study(100)[1], fractions=(), num_resamples=50)
    assert "seeds" not in [one.key for one in alone.sections]


def test_both_sources_hold_the_truth_over_seeds_and_patients():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(1000):
        patients, seeds = rng.normal() * 0.02, rng.normal(size=3) * 0.03
        values = 0.1 + patients + seeds
        found = both_sources(float(values.mean()), 0.02, float(values.std(ddof=1)), 3)
        inside += found.low <= 0.1 <= found.high
    assert 0.93 <= inside / 1000 <= 0.985


def test_the_degrees_of_freedom_are_satterthwaite_s():
    found = both_sources(0.1, 0.02, 0.03, 3)
    patients, seeds = 0.02**2, 0.03**2 / 3
    freedom = (patients + seeds) ** 2 / (seeds**2 / 2)  # of the patients' part they are infinite
    assert found.standard_error == pytest.approx((patients + seeds) ** 0.5)
    reach = student.ppf(0.975, freedom) * found.standard_error
    assert (found.low, found.high) == pytest.approx((0.1 - reach, 0.1 + reach))


def test_over_shuffled_labels_chance_lies_inside_at_least_17_of_20_intervals():
    inside, called = 0, 0
    for seed in range(20):
        methods, task = study(120, seed=seed)
        shuffled = np.random.default_rng(seed).permutation(task.target)
        given = replace(task, target=shuffled)
        report = assess(methods[:2], given, fractions=(), num_resamples=200)
        auc = report.method(PRETRAINED).probe.auc
        inside += auc.low <= 0.5 <= auc.high
        called += section(report)[0][1]["pre-trained is"] != "cannot tell"
    assert inside >= 17
    assert called <= 3
