"""First lines and axes of the pages of `select` and `predict`."""

import numpy as np
import pytest

from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.predict import Performance
from medjepa.evaluation.predict_files import Predicted
from medjepa.evaluation.results import PRETRAINED
from medjepa.evaluation.task import Task
from medjepa.report import predict_page, svg
from medjepa.report.select_page import exactly


def predicted(num_patients, *, low):
    """What `headline` reads of labelled images, two of each patient."""
    names = tuple(f"p{n // 2}" for n in range(2 * num_patients))
    task = Task(
        label="finding", target=np.arange(2 * num_patients) % 2, class_names=("a", "b"),
        groups=names, train=np.arange(2 * num_patients), test=np.arange(0),
    )  # fmt: skip
    auc = Estimate(value=0.9, low=low, high=1.0, standard_error=0.1)
    ours = Performance(key=PRETRAINED, values={"auc": auc}, gain=None)
    nothing = Predicted.__new__(Predicted)  # nothing but what the first line reads
    for name, value in {"task": task, "performance": (ours,)}.items():
        object.__setattr__(nothing, name, value)
    return nothing


@pytest.mark.parametrize(
    ("num_patients", "low", "told"),
    [(20, 0.6, "better than chance"), (19, 0.6, "cannot tell"), (20, 0.4, "cannot tell")],
)
def test_few_patients_are_never_called_better_than_chance(num_patients, low, told):
    text = predict_page.headline(predicted(num_patients, low=low))
    assert text.startswith(f"{told}: ")
    assert f"({2 * num_patients} labelled images of {num_patients} patients)" in text


@pytest.mark.parametrize(("low", "high"), [(-0.0113, 0.0006), (1.0, 12.0), (0.00001, 0.00009)])
def test_an_axis_writes_its_own_numbers(low, high):
    values = svg.ticks(low, high)
    write = exactly(values)
    read = [float(write(value).replace("−", "-")) for value in values]
    assert read == pytest.approx(values, rel=2e-3, abs=1e-12)
