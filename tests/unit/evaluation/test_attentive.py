import numpy as np
import pytest
import torch
import torch.nn.functional as F

from medjepa.evaluation.attentive import AttentiveProbe
from medjepa.evaluation.attentive_heads import AttentiveHeads, optimise
from medjepa.evaluation.metrics import macro_auc
from medjepa.evaluation.probes import LogisticProbe, Probe

FEW = {"learning_rates": (3e-4, 3e-3), "weight_decays": (0.1,), "num_epochs": 12}


def one_token_tells(num=96, num_tokens=24, width=16, *, seed=0):
    """A marked token at a place of its own; the sign of one feature of it is the label.

    In the mean over tokens the label is there too, but buried in the noise of all others.
    """
    rng = np.random.default_rng(seed)
    target = np.arange(num) % 2
    tokens = rng.normal(size=(num, num_tokens, width)).astype(np.float32)
    place = rng.integers(num_tokens, size=num)
    tokens[np.arange(num), place, :8] = 0
    tokens[np.arange(num), place, 8] = 4
    tokens[np.arange(num), place, 0] = 3 * (2 * target - 1)
    return tokens, target


def area(probe, x, y):
    return macro_auc(y, probe.predict_proba(x))[0]


def test_it_finds_the_one_token_that_the_mean_hides():
    x, y = one_token_tells(160)
    fresh, wanted = one_token_tells(300, seed=1)
    attentive = AttentiveProbe(learning_rates=(3e-3,), weight_decays=(0.1,), num_epochs=20)
    attentive.fit(x, y)
    assert isinstance(attentive, Probe)
    linear = LogisticProbe(c_grid=(1e-3, 1e-1)).fit(x.mean(1).astype(np.float64), y)
    found = area(attentive, fresh, wanted)
    assert found > 0.93
    assert found > area(linear, fresh.mean(1).astype(np.float64), wanted) + 0.1


def test_shuffled_labels_are_at_chance_and_patients_stay_together(monkeypatch):
    areas = []
    for seed in range(3):
        x, y = one_token_tells(80, seed=seed)
        y = np.random.default_rng(seed).permutation(y)
        probe = AttentiveProbe(**FEW).fit(x[:50], y[:50])
        areas.append(area(probe, x[50:], y[50:]))
    assert 0.3 < np.mean(areas) < 0.7
    # The same patient's images in both parts of a fold would choose by recognising patients.
    seen = []
    keep = AttentiveProbe._held_out
    monkeypatch.setattr(
        AttentiveProbe,
        "_held_out",
        lambda s, x, t, fold, *a: seen.append(fold) or keep(s, x, t, fold, *a),
    )
    x, y = one_token_tells(60)
    group = np.repeat(np.arange(15), 4)
    AttentiveProbe(learning_rates=(1e-3,), weight_decays=(0.1,), num_epochs=1).fit(
        x, (group % 2), list(group)
    )
    assert seen
    for fit, held_out in seen:
        assert not set(group[fit]) & set(group[held_out])


def test_settings_side_by_side_are_each_as_if_alone():
    x, y = one_token_tells(24)
    tokens, target = torch.from_numpy(x), torch.from_numpy(y)
    settings = [(1e-3, 0.1), (3e-3, 1.0)]

    def trained(chosen):
        heads = AttentiveHeads(len(chosen), 16, 2, rng=torch.Generator().manual_seed(0))
        for _ in optimise(heads, [(tokens, target)] * 6 + [None], chosen, num_warmup=2):
            pass
        return heads(tokens).detach()

    both = trained(settings)
    for place, one in enumerate(settings):
        assert torch.allclose(both[place], trained([one])[0], atol=1e-5)
    assert not torch.allclose(both[0], both[1], atol=1e-3)


def test_the_folded_projections_are_cross_attention_with_keys_and_values():
    """Keys and values of every token, as V-JEPA computes them, give the same numbers."""
    rng = torch.Generator().manual_seed(1)
    heads = AttentiveHeads(1, 8, 3, 2, rng=rng)
    x = torch.randn(5, 7, 8, generator=rng)
    normed = F.layer_norm(x, (8,))
    # Any key projection W and query q with W^T q = look will do: W = identity per head.
    mixed = []
    for a in range(2):
        weights = (normed @ heads.look[0, a]).softmax(1)  # (B, T)
        values = normed @ heads.value[0, a]  # (B, T, E): projected before the mean
        mixed.append((weights[..., None] * values).sum(1))
    z = heads.query[0] + torch.cat(mixed, 1) @ heads.out[0] + heads.out_bias[0]
    y = F.layer_norm(z, (8,))
    z = z + F.gelu(y @ heads.up[0] + heads.up_bias[0]) @ heads.down[0] + heads.down_bias[0]
    expected = z @ heads.linear[0] + heads.linear_bias[0]
    assert torch.allclose(heads(x)[0], expected, atol=1e-5)


def test_the_order_of_adamw_is_torchs():
    x, y = one_token_tells(16)
    tokens, target = torch.from_numpy(x), torch.from_numpy(y)
    ours = AttentiveHeads(1, 16, 2, rng=torch.Generator().manual_seed(0))
    theirs = AttentiveHeads(1, 16, 2, rng=torch.Generator().manual_seed(0))
    matrices = [p for p in theirs.parameters() if p.ndim > 2]
    others = [p for p in theirs.parameters() if p.ndim <= 2]
    adam = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.5}, {"params": others, "weight_decay": 0.0}],
        lr=1e-3,
    )
    for _ in range(4):
        adam.zero_grad()
        F.cross_entropy(theirs(tokens)[0], target).backward()
        adam.step()
    for _ in optimise(ours, [(tokens, target)] * 4 + [None], [(1e-3, 0.5)], num_warmup=1):
        pass
    assert torch.allclose(ours(tokens), theirs(tokens), atol=1e-4)


@pytest.mark.parametrize("kind", ["one class", "one patient a class"])
def test_what_cannot_be_chosen_is_said(kind):
    x, y = one_token_tells(8)
    if kind == "one class":
        probe = AttentiveProbe(**FEW).fit(x, np.zeros(8, np.int64))
        assert (probe.predict_proba(x) == 1).all()
    else:
        probe = AttentiveProbe(**FEW).fit(x, y, [str(label) for label in y])
        assert "too few" in probe.chosen_by_
    assert len(probe.predict(x)) == 8


def test_the_same_seed_gives_the_same_numbers():
    x, y = one_token_tells(32)
    first, second = (AttentiveProbe(**FEW, seed=3).fit(x, y).predict_proba(x) for _ in range(2))
    assert np.array_equal(first, second)
