"""The evaluation as the user's guide calls it."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from medjepa.evaluation.few_shot import FewShotEvaluator
from medjepa.evaluation.linear_probe import LinearProbe, LinearProbeEvaluator
from medjepa.evaluation.segmentation import SimpleSegmentationHead, dice_score


class MeanColour(nn.Module):
    """Embeds an image as its mean colour."""

    def encode(self, images):
        return images.mean((2, 3))


def colours(num=90, seed=0, noise=0.1):
    rng = torch.Generator().manual_seed(seed)
    labels = torch.arange(num) % 3
    images = torch.eye(3)[labels][:, :, None, None].expand(-1, -1, 8, 8)
    return images + noise * torch.randn(num, 3, 1, 1, generator=rng), labels


def test_a_linear_probe_learns_colours():
    evaluator = LinearProbeEvaluator(MeanColour(), num_classes=3, embed_dim=3)
    features, labels = evaluator.extract_features(
        DataLoader(TensorDataset(*colours()), batch_size=32)
    )
    assert features.shape == (90, 3)
    assert torch.equal(labels, colours()[1])
    evaluator.train_probe(features, labels)
    images, truth = colours(seed=1)
    found = evaluator.evaluate(images.mean((2, 3)), truth)
    assert found["accuracy"] > 0.95
    assert found["auc"] > 0.99
    assert found["report"]["macro avg"]["recall"] == pytest.approx(found["balanced_accuracy"])


def test_a_probe_is_a_function_of_its_seed_and_leaves_the_global_one_alone():
    images, labels = colours()
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    weights = []
    for _ in range(2):
        evaluator = LinearProbeEvaluator(MeanColour(), 3, 3)
        probe = evaluator.train_probe(images.mean((2, 3)), labels, num_epochs=2, batch_size=7)
        weights.append(probe.linear.weight.detach())
    assert torch.equal(*weights)
    assert torch.equal(torch.rand(1), expected)


def test_one_class_has_no_auc():
    evaluator = LinearProbeEvaluator(MeanColour(), 3, 3)
    assert evaluator.evaluate(torch.rand(5, 3), torch.zeros(5))["auc"] is None


def test_a_probe_is_one_layer():
    assert LinearProbe(16, 4)(torch.zeros(2, 16)).shape == (2, 4)


def test_few_shots_are_classified_and_counted():
    support, query = colours(15), colours(60, seed=1)
    found = FewShotEvaluator(MeanColour(), k=3).evaluate_n_shot(*support, *query, n_shot=5)
    assert (found["n_shot"], found["num_support"], found["num_query"]) == (5, 15, 60)
    assert found["num_draws"] == 1
    assert found["accuracy"] > 0.9
    assert found["interval"][0] <= found["accuracy"] <= found["interval"][1]


def test_a_larger_support_set_is_drawn_from_repeatedly():
    found = FewShotEvaluator(MeanColour(), num_draws=4).evaluate_n_shot(
        *colours(90), *colours(30, seed=1), n_shot=2
    )
    assert (found["num_support"], found["num_draws"]) == (6, 4)


def test_accuracy_is_the_mean_over_draws_that_differ_never_the_best():
    support, query = colours(90, noise=1.0), colours(30, seed=1, noise=1.0)

    def over(num_draws):
        evaluator = FewShotEvaluator(MeanColour(), num_draws=num_draws)
        return evaluator.evaluate_n_shot(*support, *query, n_shot=2)

    # Draws come in a fixed order, so one more draw moves the mean by that draw's share.
    means = [over(num)["accuracy"] for num in range(1, 7)]
    each = [num * mean - (num - 1) * before for num, mean, before in zip(
        range(1, 7), means, [0.0, *means], strict=False)]  # fmt: skip
    assert np.array(each) * 30 == pytest.approx(np.round(np.array(each) * 30), abs=1e-6)
    assert 0 <= min(each) < max(each) - 0.03 < 1
    assert over(6)["spread"] == pytest.approx(np.std(each, ddof=1))


def test_patients_of_few_labels_are_drawn_whole():
    (train, train_y), (test, test_y) = colours(300), colours(60, seed=1)
    patients = np.arange(300) // 30 * 3 + train_y.numpy()  # ten images each
    (row,) = FewShotEvaluator(MeanColour()).evaluate_data_efficiency(
        train.mean((2, 3)), train_y, test.mean((2, 3)), test_y, [0.31], groups=list(patients)
    )
    assert row["num_labeled"] == 3 * 3 * 10


def test_data_efficiency_has_one_entry_for_each_fraction_and_holds_every_class():
    (train, train_y), (test, test_y) = colours(300, noise=0.5), colours(60, seed=1, noise=0.5)
    evaluator = FewShotEvaluator(MeanColour())
    fractions = [0.001, 0.1, 1.0]
    rows = evaluator.evaluate_data_efficiency(
        train.mean((2, 3)), train_y, test.mean((2, 3)), test_y, fractions=fractions
    )
    assert [row["fraction"] for row in rows] == fractions
    assert [row["num_labeled"] for row in rows] == [3, 30, 300]
    assert rows[0]["accuracy"] <= rows[2]["accuracy"]
    assert rows[0]["accuracy"] > 1 / 3


def test_the_segmentation_head_puts_every_patch_where_it_lies():
    head = SimpleSegmentationHead(embed_dim=4, num_classes=3, image_size=(8, 12), patch_size=4)
    embeddings = torch.randn(2, 6, 4)
    scores = head(embeddings)
    assert scores.shape == (2, 3, 8, 12)
    changed = embeddings.clone()
    # Second row, second column. Not a shift alone: the norm would take it out again.
    changed[:, 4] = -changed[:, 4]
    differs = (head(changed) != scores).any(0).any(0)
    assert differs[4:8, 4:8].all()
    differs[4:8, 4:8] = False
    assert not differs.any()


def test_the_segmentation_head_keeps_the_order_of_pixels_within_a_patch():
    head = SimpleSegmentationHead(embed_dim=4, num_classes=2, image_size=(4, 6), patch_size=(2, 3))
    with torch.no_grad():
        head.classify.weight.zero_()
        head.classify.bias.copy_(torch.arange(12.0))
    scores = head(torch.zeros(1, 4, 4))[0]
    for label in (0, 1):
        patch = torch.arange(6.0).reshape(2, 3) + 6 * label
        assert torch.equal(scores[label], patch.repeat(2, 2))


def test_the_segmentation_head_names_a_wrong_number_of_patches():
    with pytest.raises(ValueError, match="2 x 3 patches, got 5"):
        SimpleSegmentationHead(4, 2, (8, 12), 4)(torch.zeros(1, 5, 4))


def test_dice_never_counts_the_background():
    target = torch.zeros(1, 10, 10)
    target[0, :1, :4] = 1
    nothing = torch.zeros(1, 10, 10)
    assert dice_score(nothing, target) < 0.01  # 96 % of the pixels are right
    assert dice_score(target, target) == pytest.approx(1)
    half = target.clone()
    half[0, 0, 2:] = 0
    assert dice_score(half, target) == pytest.approx(2 * 2 / (2 + 4), abs=1e-4)
    assert dice_score(nothing, nothing) == 1


def test_dice_averages_the_foreground_classes():
    target = torch.tensor([[0, 1, 1, 2]])
    pred = torch.tensor([[0, 1, 0, 2]])
    expected = np.mean([2 * 1 / (1 + 2), 1.0])
    assert dice_score(pred, target) == pytest.approx(expected, abs=1e-4)
    scores = torch.eye(3)[pred].movedim(-1, 1)
    assert dice_score(scores, target) == pytest.approx(expected, abs=1e-4)


def test_dice_refuses_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="do not fit"):
        dice_score(torch.zeros(2, 3), torch.zeros(3, 2))
