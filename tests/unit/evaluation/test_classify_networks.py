"""Classifiers of a study: where they start, what of them learns, at which rates."""

import pytest
import torch

from medjepa.evaluation.classify_networks import classifier_of, recipe_of
from medjepa.models.lejepa import LeJEPA
from medjepa.training.finetune_classify import ClassifySettings


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return LeJEPA(
        16, 8, 1, 12, 3, 2, projector_dim=8, projection_dim=4, num_directions=8,
        predictor_dim=8, predictor_depth=1, predictor_heads=2,
    ).eval()  # fmt: skip


def build(model, method, num_classes=3):
    return classifier_of(method, model, num_classes, seed=5, last_blocks=1, rank=2)


def test_scores_are_standardised_by_what_is_fitted(model):
    images = torch.rand(30, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    network = build(model, "pretrained").eval()
    with torch.no_grad():
        features = network.embed(images)
        torch.testing.assert_close(features, model.encode(images))
        network.set_statistics(features.mean(0), features.var(0, correction=0))
        torch.nn.init.normal_(network.head.weight)
        evaluated = network(images)
        network.train()
        # The whole set as one batch: what training standardises by is then the same.
        torch.testing.assert_close(network(images), evaluated, rtol=1e-3, atol=1e-3)


def test_a_feature_that_is_constant_is_not_blown_up(model):
    network = build(model, "pretrained").eval()
    network.set_statistics(torch.zeros(12), torch.zeros(12))
    torch.testing.assert_close(network.standardise(torch.ones(2, 12)), torch.ones(2, 12))


def test_each_method_trains_what_its_name_says(model):
    shares = {}
    for method in ("pretrained", "scratch", "partial", "lora"):
        names = {n for n, p in build(model, method).named_parameters() if p.requires_grad}
        shares[method] = names
        assert "head.weight" in names
    assert shares["pretrained"] == shares["scratch"]
    assert {n.split(".")[2] for n in shares["partial"] if "blocks" in n} == {"2"}
    assert not any("patch_embedding" in n for n in shares["partial"] | shares["lora"])
    own = model.encoder.blocks[0].attention.qkv.weight
    assert torch.equal(build(model, "pretrained").encoder.blocks[0].attention.qkv.weight, own)
    assert not torch.equal(build(model, "scratch").encoder.blocks[0].attention.qkv.weight, own)


def test_layers_learn_alike_where_nothing_is_pretrained():
    settings = ClassifySettings(steps=10, encoder_rate=0.3, layer_decay=0.75)
    scratch = recipe_of("scratch", settings, 2e-3)
    assert (scratch.learning_rate, scratch.encoder_rate, scratch.layer_decay) == (2e-3, 1, 1)
    assert (recipe_of("lora", settings, 2e-3).layer_decay, scratch.steps) == (1, 10)
    assert recipe_of("pretrained", settings, 2e-3) == settings
