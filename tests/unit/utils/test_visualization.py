import numpy as np
import pytest
from matplotlib.figure import Figure

from medjepa.utils.visualization import (
    plot_attention_map,
    plot_data_efficiency,
    plot_embedding_space,
    plot_training_history,
)


def test_training_history_with_and_without_validation(tmp_path):
    history = {"train_loss": [3.0, 2.0, 1.0], "val_loss": [], "epochs": [1, 2, 3]}
    assert len(plot_training_history(history).axes[0].lines) == 1
    history["val_loss"] = [2.5, 1.5]
    figure = plot_training_history(history, save_path=tmp_path / "deep" / "loss.png")
    assert len(figure.axes[0].lines) == 2
    assert (tmp_path / "deep" / "loss.png").stat().st_size > 1000


@pytest.mark.parametrize("num", [1, 2, 3, 12, 40])
def test_embedding_space_of_any_number_of_samples(num):
    rng = np.random.default_rng(0)
    labels = np.array(["b", "a"])[np.arange(num) % 2]
    figure = plot_embedding_space(rng.normal(size=(num, 8)), labels)
    assert isinstance(figure, Figure)
    assert sum(len(c.get_offsets()) for c in figure.axes[0].collections) == num
    expected = "t-SNE" if num >= 30 else "principal components" if num >= 3 else "features"
    assert figure.axes[0].get_xlabel().startswith(expected)


def test_embedding_space_names_classes_in_sorted_order():
    figure = plot_embedding_space(np.eye(4), [1, 0, 1, 0], class_names=["normal", "pneumonia"])
    assert [c.get_label() for c in figure.axes[0].collections] == ["normal", "pneumonia"]


@pytest.mark.parametrize("shape", [(32, 32), (32, 32, 3), (3, 32, 32), (1, 32, 32)])
def test_attention_over_any_image(shape):
    figure = plot_attention_map(np.random.default_rng(0).random(shape), np.arange(16.0))
    assert len(figure.axes) == 3
    extents = {tuple(image.get_extent()) for axes in figure.axes for image in axes.images}
    assert extents == {(0.0, 32.0, 32.0, 0.0)}


def test_attention_that_is_no_square_grid_is_refused():
    with pytest.raises(ValueError, match="square grid"):
        plot_attention_map(np.zeros((4, 4)), np.arange(15.0))


def test_data_efficiency_with_band_and_baseline(tmp_path):
    rows = [
        {"fraction": 0.01, "accuracy": 0.6, "interval": (0.5, 0.7)},
        {"fraction": 1.0, "accuracy": 0.9, "interval": (0.85, 0.95)},
    ]
    figure = plot_data_efficiency(rows, baseline_accuracy=0.8, save_path=tmp_path / "curve.png")
    assert len(figure.axes[0].lines) == 2
    assert len(figure.axes[0].collections) == 1
    assert (tmp_path / "curve.png").is_file()
    assert not plot_data_efficiency([{"fraction": 0.5, "accuracy": 0.7}]).axes[0].collections
