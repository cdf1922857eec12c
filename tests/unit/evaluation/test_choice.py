"""What the scores prefer, how it is worded, and whether their intervals hold what they say."""

from pathlib import Path

import numpy as np
import pytest
import torch

from medjepa.data.preprocessing import Pipeline
from medjepa.evaluation.bootstrap import Estimate, PatientBootstrap
from medjepa.evaluation.candidates import Candidate, loss_differs
from medjepa.evaluation.choice import CheckpointRow, Preference, around, prefer, word
from medjepa.evaluation.label_free import LOSS, SCORES, alignment, lidar, rank_me, uniformity
from medjepa.evaluation.positive_pairs import Embeddings
from medjepa.evaluation.select_run import score

KEYS = [one.key for one in SCORES if one.key != LOSS]


def row(name, values, *, loss=1.0, collapsed=""):
    scores = {
        key: Estimate(value=v, low=v, high=v, standard_error=0.0) for key, v in values.items()
    }
    scores[LOSS] = Estimate(value=loss, low=None, high=None, standard_error=None)
    return CheckpointRow(
        name=name, step=1, seed=0, method="m", num_features=8, collapsed=collapsed, loss_of="",
        scores=scores,
    )  # fmt: skip


def chosen(values, noise=0.1, *, shared=False, num_patients=50, loss_differs="", collapsed=()):
    """Preferences of checkpoints a, b, ... with one value for every score."""
    rng = np.random.default_rng(0)
    common = rng.normal(size=200)
    rows, samples = [], []
    for place, value in enumerate(values):
        name = "abc"[place]
        signed = {one.key: one.sign * value for one in SCORES if one.key != LOSS}
        rows.append(row(name, signed, loss=-value, collapsed="x" if name in collapsed else ""))
        drawn = common if shared else rng.normal(size=200)
        samples.append({key: v + noise * drawn for key, v in signed.items()})
    return prefer(rows, samples, num_patients=num_patients, loss_differs=loss_differs)


def test_every_score_prefers_its_own_better_end():
    found = chosen([1.0, 3.0, 2.0])
    assert [one.prefers for one in found] == ["b"] * 5
    assert all(one.alike == () for one in found)


def test_what_cannot_be_told_apart_is_named_by_a_paired_interval():
    found = chosen([1.0, 1.1, 0.0])
    assert [one.alike for one in found] == [(), *[("a",)] * 4]  # a loss has no interval
    # The same resamples move both alike: the difference is certain.
    assert all(one.alike == () for one in chosen([1.0, 1.1, 0.0], shared=True))
    # Too few patients: nothing is told apart.
    assert chosen([1.0, 3.0, 2.0], num_patients=19)[1].alike == ("a", "c")


def test_collapsed_ones_and_losses_that_differ_are_left_out():
    found = chosen([1.0, 3.0, 2.0], collapsed="b", loss_differs="they differ in lambda_reg")
    assert [one.prefers for one in found] == [None, *["c"] * 4]
    assert found[0].why_not == "they differ in lambda_reg"
    found = chosen([1.0, 3.0], collapsed="ab")
    assert word(found) == ("cannot tell", "cannot tell: all checkpoints have collapsed", ())


def test_a_loss_that_is_no_number_is_not_compared():
    """It is neither less nor more than any other: the first one would be preferred for it."""

    def one(name, loss):
        return Candidate(
            name=name, file=Path("x"), folder=Path("x"), step=1, seed=0, method="m", arguments={},
            pipeline=Pipeline(size=(32, 32), channels=1, fit="stretch"), loss=loss, loss_of="",
            used_keys=None,
        )  # fmt: skip

    assert loss_differs([one("a", 0.5), one("b", 0.0)]) == ""
    assert loss_differs([one("a", float("nan")), one("b", 0.5)]) == "the loss of a is no number"
    assert loss_differs([one("a", 0.5), one("b", None)]) == "b has no recorded loss"


def says(*pairs):
    return [
        Preference(key=title, title=title, prefers=prefers, alike=tuple(alike))
        for title, prefers, *alike in pairs
    ]


@pytest.mark.parametrize(
    ("given", "outcome", "choose", "told"),
    [
        (says(("A", "x"), ("B", "x")), "agree", ("x",), "agree: x by A and B"),
        (says(("A", "x", "y"), ("B", "x", "y")), "agree", ("x", "y"), "none can tell y from it"),
        (says(("A", "x"), ("B", "y")), "disagree", (), "disagree: x by A; y by B"),
        (says(("A", "x", "y"), ("B", "y")), "cannot tell", ("y",), "no score can tell y from"),
        (says(("A", None), ("B", "y")), "agree", ("y",), "agree: y by B"),
    ],
)
def test_agreement_is_worded_as_it_is(given, outcome, choose, told):
    found = word(given)
    assert (found[0], found[2]) == (outcome, choose)
    assert told in found[1] and found[1].startswith(("the scores", "cannot tell"))


def study(seed, num=80, dim=5):
    """Embeddings of `num` patients, one image each, in 3 views."""
    rng = np.random.default_rng(seed)
    middle = np.linspace(0.2, 2, dim) * rng.normal(size=(num, 1, dim)) + 0.5
    views = middle + np.linspace(1, 0.3, dim) * rng.normal(size=(num, 3, dim)) / 2
    return Embeddings(whole=torch.from_numpy(middle[:, 0]), views=torch.from_numpy(views))


def test_intervals_hold_the_value_that_such_studies_have_on_average():
    num = 80
    every = [study(1000 + n) for n in range(200)]
    truth = {
        "rankme": np.mean([rank_me(one.whole) for one in every]),
        "lidar": np.mean([lidar(one.views) for one in every]),
        "alignment": np.mean([alignment(one.views) for one in every]),
        "uniformity": np.mean([uniformity(one.views) for one in every]),
    }
    hits = dict.fromkeys(KEYS, 0)
    below = []
    for number in range(40):
        drawn = PatientBootstrap.draw(np.zeros(num, np.int64), None, num_resamples=50, seed=number)
        values, samples = score(study(number), drawn)
        below.append(samples["rankme"].mean() < values["rankme"])
        for key in KEYS:
            found = around(values[key], samples[key], num)
            hits[key] += found.low <= truth[key] <= found.high
    assert all(count >= 34 for count in hits.values()), hits  # 38 expected, deviation 1.4
    assert np.mean(below) > 0.8  # which is why no percentiles are taken


def test_no_interval_for_few_patients():
    found = around(2.0, np.array([1.0, 2.0, 3.0]), 19)
    assert found.value == 2.0 and found.low is found.high is None
