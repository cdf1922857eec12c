import numpy as np
import pytest

from medjepa.evaluation.assess import assess
from medjepa.evaluation.protocol import Features, Task
from medjepa.evaluation.results import PRETRAINED, UNTRAINED


def report_on(num_train, monkeypatch):
    monkeypatch.setattr("medjepa.evaluation.probes.C_GRID", (1e-2, 1.0))
    rng = np.random.default_rng(0)
    num = num_train + 60
    target = (np.arange(num) % 2).astype(np.int64)
    task = Task(
        label="finding",
        target=target,
        class_names=("a", "b"),
        groups=None,
        train=np.arange(num_train),
        test=np.arange(num_train, num),
    )
    arrays = [np.eye(2, 3)[target] * lead + rng.normal(size=(num, 3)) for lead in (2.0, 0.2)]
    methods = [
        Features(key=key, arrays=(array,))
        for key, array in zip((PRETRAINED, UNTRAINED), arrays, strict=True)
    ]
    return assess(methods, task, fractions=(), num_resamples=50)


def test_every_k_is_shown_and_20_is_the_table_s(monkeypatch):
    report = report_on(220, monkeypatch)
    found = report.section("neighbours")
    assert found.columns == ("features", "k = 10", "k = 20", "k = 100", "k = 200")
    for row, method in zip(found.rows, report.methods, strict=False):
        assert row[2] == method.knn.auc
        assert all(one.low < one.high for one in row[1:])
    assert found.rows[0][4].value != pytest.approx(found.rows[0][1].value)


def test_no_more_neighbours_than_images_learnt_from(monkeypatch):
    assert report_on(120, monkeypatch).section("neighbours").columns[-1] == "k = 100"
    report = report_on(16, monkeypatch)
    assert "neighbours" not in [one.key for one in report.sections]
