import dataclasses
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medjepa.config import Config, from_dict, help_text, load_config, save_yaml, to_dict
from medjepa.config.build import documentation, known_keys
from medjepa.config.load import base_yaml
from medjepa.errors import ConfigError
from medjepa.models.registry import ENCODERS

CONFIGS = Path(__file__).resolve().parents[3] / "configs"


def test_the_base_file_holds_the_defaults_of_every_key():
    assert load_config(CONFIGS / "base_config.yaml") == Config()
    # Written by `base_yaml`: run it again after a change of a default or a meaning.
    assert (CONFIGS / "base_config.yaml").read_text() == base_yaml()


def test_the_keys_and_defaults_that_users_know():
    known = {key: default for key, (default, _) in documentation().items()}
    expected = {
        "model.type": "lejepa", "model.image_size": 224, "model.patch_size": 16,
        "model.in_channels": 3, "model.embed_dim": 768, "model.encoder_depth": 12,
        "model.encoder_heads": 12, "model.predictor_dim": 384, "model.predictor_depth": 6,
        "model.predictor_heads": 6, "masking.mask_ratio": 0.75, "masking.mask_type": "block",
        "masking.num_target_blocks": 4, "training.batch_size": 64, "training.num_epochs": 100,
        "training.learning_rate": 0.001, "training.weight_decay": 0.05,
        "training.warmup_epochs": 10, "training.lambda_reg": 1.0, "data.target_size": 224,
        "data.num_workers": 4, "hardware.device": "auto", "logging.log_every": 50,
        "logging.save_every": 5, "logging.checkpoint_dir": "checkpoints",
        "logging.use_wandb": False, "logging.project_name": "MedJEPA",
    }  # fmt: skip
    assert {key: known[key] for key in expected} == expected
    assert {"data.dataset", "data.data_dir", "hardware.mixed_precision"} <= known.keys()


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_file_loads_and_holds_differences_only(path):
    config = load_config(path, presets=ENCODERS)
    if path.stem != "base_config":
        assert config != Config()
        assert len(path.read_text().splitlines()) < 20


def test_every_key_has_a_meaning_that_fits_a_line():
    assert documentation().keys() == known_keys().keys()
    assert all(10 < len(doc) < 90 or doc.count(" ") for _, doc in documentation().values())


def test_later_wins_file_then_command_line(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("training: {num_epochs: 7, learning_rate: 1e-3}\nseed: 3\n")
    config = load_config(file, ["seed=4"])
    assert (config.training.num_epochs, config.training.learning_rate, config.seed) == (7, 1e-3, 4)


def test_a_model_s_name_sets_sizes_that_explicit_settings_override():
    config = load_config(None, ["model=vit_ti8_64", "model.encoder_depth=2"], ENCODERS)
    assert config.model.embed_dim == ENCODERS["vit_ti8_64"]["embed_dim"]
    assert config.model.encoder_depth == 2
    assert config.data.target_size == config.model.image_size == 64
    assert load_config(None, ["model.image_size=64", "data.target_size=96"]).data.target_size == 96


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("data=a", "sources", ("a",)),
        ("data=[a,b]", "sources", ("a", "b")),
        ("data.target_size=[64,32]", "target_size", (64, 32)),
        ("data.use_all=yes", "use_all", True),
        ("data.table=none", "table", None),
        ("data.table=null.csv", "table", "null.csv"),
        ("data.val_fraction=1e-1", "val_fraction", 0.1),
        ("data.dataset=7", "dataset", "7"),
        ("data.cache_dir=", "cache_dir", ""),
    ],
)
def test_values_take_the_type_of_their_key(override, key, value):
    assert getattr(load_config(None, [override]).data, key) == value


@pytest.mark.parametrize("values", [["yes", "no"], ["0", "0.0", "00"], ["null", "~"], ["1e3"]])
def test_texts_of_a_list_stay_as_they_are_written(values):
    found = load_config(None, [f"evaluation.positive=[{','.join(values)}]"]).evaluation
    assert list(found.positives) == values


def test_a_file_whose_words_yaml_takes_for_true_is_refused(tmp_path):
    path = tmp_path / "a.yaml"
    for written in ("yes", "[yes, Yes]"):
        path.write_text(f"evaluation: {{positive: {written}}}")
        with pytest.raises(ConfigError, match="need quotes"):
            load_config(path)
    path.write_text("evaluation: {positive: ['yes', Ja]}")
    assert load_config(path).evaluation.positives == ("yes", "Ja")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("training.num_epochs=abc", "training.num_epochs=abc must be a whole number"),
        ("training.num_epochs=1.5", "a whole number"),
        ("training.learning_rate=fast", "a number"),
        ("training.learning_rate=nan", "a number"),
        ("training.max_steps=x", "a whole number or none"),
        ("training.num_epoch=3", "did you mean training.num_epochs"),
        ("training.lr=3", "did you mean training.learning_rate"),
        ("epochs=3", "did you mean training.num_epochs"),
        ("learning_rate=3", "did you mean training.learning_rate"),
        ("model=vit_tiny8_64", "did you mean vit_ti8_64"),
        ("masking.mask_type=square", "one of block, random"),
        ("masking.mask_ratio=1", "masking.mask_ratio"),
        ("model.image_size=100", "does not divide"),
        ("model.encoder_heads=7", "model.encoder_heads"),
        ("views.full_scale=[0.5]", "a list of 2"),
        ("data.weights=[1,2", "data.weights"),
        ("data.weights=[1,2]", "give one for each"),
        ("hardware.mixed_precision=maybe", "true or false"),
        ("data.modality=teeth", "xray"),
        ("seed", "key=value"),
    ],
)
def test_a_mistake_is_named_with_what_would_be_right(override, said):
    with pytest.raises(ConfigError, match=r"command line|model|masking|data") as caught:
        load_config(None, [override], ENCODERS)
    assert said in str(caught.value)


def test_a_mistake_in_a_file_names_the_file(tmp_path):
    file = tmp_path / "run.yaml"
    for text in (
        "trainign: {num_epochs: 3}",
        "training: 3",
        "- a",
        "a: [",
        "training: {num_epochs: x}",
    ):
        file.write_text(text)
        with pytest.raises(ConfigError, match=r"run\.yaml"):
            load_config(file)
    with pytest.raises(ConfigError, match=r"gone\.yaml"):
        load_config(tmp_path / "gone.yaml")


@settings(max_examples=30, deadline=None)
@given(
    st.integers(2, 10**6), st.floats(1e-9, 10), st.booleans(), st.none() | st.integers(1, 10**9),
    st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=8),
)  # fmt: skip
def test_what_is_written_is_read_back(tmp_path_factory, batch_size, rate, flag, steps, name):
    training = dataclasses.replace(
        Config().training, batch_size=batch_size, learning_rate=rate, max_steps=steps
    )
    data = dataclasses.replace(Config().data, use_all=flag, dataset=name)
    config = dataclasses.replace(Config(), training=training, data=data)
    path = tmp_path_factory.mktemp("config") / "config.yaml"
    save_yaml(config, path)
    assert load_config(path) == config == from_dict(to_dict(config))


def test_help_lists_keys_with_defaults():
    text = help_text("usage", ("training", "seed"))
    assert "training.learning_rate=0.001" in text and "seed=0" in text
    assert "model." not in text
