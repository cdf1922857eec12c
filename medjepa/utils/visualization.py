"""Figures of training and evaluation: arrays in, a matplotlib figure out, no display needed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from medjepa.utils.projection import project


def plot_training_history(
    history: Mapping[str, Sequence[float]], save_path: str | Path | None = None
) -> Figure:
    """Draw training loss, and validation loss where there is one, over epochs.

    Args:
        history: `train_loss`, `epochs` and perhaps `val_loss`, as `MedJEPATrainer.train` returns.
        save_path: where to save the figure, if anywhere.
    """
    figure, axes = _figure((7, 4.2))
    epochs = history.get("epochs") or range(1, len(history["train_loss"]) + 1)
    axes.plot(list(epochs), list(history["train_loss"]), label="training", linewidth=2)
    if history.get("val_loss"):
        validated = list(epochs)[-len(history["val_loss"]) :]
        axes.plot(validated, list(history["val_loss"]), label="validation", linewidth=2)
    axes.set(xlabel="epoch", ylabel="loss", title="Pre-training")
    axes.legend(frameon=False)
    return _saved(figure, save_path)


def plot_embedding_space(
    embeddings: ArrayLike,
    labels: ArrayLike,
    class_names: Sequence[str] | None = None,
    title: str = "Embedding space",
    save_path: str | Path | None = None,
    *,
    seed: int = 0,
) -> Figure:
    """Draw embeddings in the plane, coloured by label.

    t-SNE; principal components for fewer than 30 samples, which t-SNE cannot place.

    Args:
        embeddings: (N, D).
        labels: (N,) of any kind that can be sorted.
        class_names: one for each label in sorted order; None writes the labels themselves.
        title: above the figure.
        save_path: where to save the figure, if anywhere.
        seed: of the projection.
    """
    features, names = np.asarray(embeddings, np.float64), np.asarray(labels)
    place, method = project(features, seed=seed)
    figure, axes = _figure((7, 6))
    classes = np.unique(names)
    colours = colormaps["tab10" if len(classes) <= 10 else "turbo"]
    for index, label in enumerate(classes):
        rows = names == label
        name = str(label) if class_names is None else class_names[index]
        shade = colours(index if len(classes) <= 10 else index / (len(classes) - 1))
        axes.scatter(place[rows, 0], place[rows, 1], s=16, alpha=0.75, color=shade, label=name)
    axes.set(title=title, xlabel=f"{method} 1", ylabel=f"{method} 2")
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return _saved(figure, save_path)


def plot_attention_map(
    image: ArrayLike,
    attention_weights: ArrayLike,
    title: str = "Attention map",
    save_path: str | Path | None = None,
) -> Figure:
    """Draw an image, weights of its patches, and both together.

    Args:
        image: (H, W), (H, W, C) or (C, H, W).
        attention_weights: (h, w) over the patch grid or the pixels, or (N,) for a square grid.
        title: above the figure.
        save_path: where to save the figure, if anywhere.
    """
    picture, weights = _picture(np.asarray(image)), _grid(np.asarray(attention_weights, np.float64))
    height, width = picture.shape[:2]
    figure = Figure(figsize=(12, 4.4), layout="constrained")
    panels = figure.subplots(1, 3)
    extent = (0.0, float(width), float(height), 0.0)  # weights of patches cover the whole image
    for axes, name in zip(panels, ("image", "attention", "both"), strict=True):
        if name != "attention":
            axes.imshow(picture, cmap="gray", extent=extent)
        if name != "image":
            opacity = 0.5 if name == "both" else 1.0
            axes.imshow(weights, cmap="magma", alpha=opacity, extent=extent, aspect="equal")
        axes.set_title(name)
        axes.axis("off")
    figure.suptitle(title)
    return _saved(figure, save_path)


def plot_data_efficiency(
    results: Sequence[Mapping[str, Any]],
    baseline_accuracy: float | None = None,
    title: str = "Data efficiency",
    save_path: str | Path | None = None,
) -> Figure:
    """Draw accuracy over the share of labels, with its interval where the results hold one.

    Args:
        results: as `FewShotEvaluator.evaluate_data_efficiency` returns.
        baseline_accuracy: drawn as a line, for comparison.
        title: above the figure.
        save_path: where to save the figure, if anywhere.
    """
    rows = sorted(results, key=lambda row: row["fraction"])
    share = [100 * row["fraction"] for row in rows]
    figure, axes = _figure((7, 4.2))
    axes.plot(share, [100 * row["accuracy"] for row in rows], marker="o", label="frozen encoder")
    if all("interval" in row for row in rows):
        low, high = zip(*(row["interval"] for row in rows), strict=True)
        axes.fill_between(
            share,
            [100 * v for v in low],
            [100 * v for v in high],
            alpha=0.18,
            label="95 % interval",
        )
    if baseline_accuracy is not None:
        axes.axhline(
            100 * baseline_accuracy, linestyle="--", color="0.4", label="supervised, all labels"
        )
    axes.set_xscale("log")
    axes.set_xticks(share, [f"{value:g}" for value in share])
    axes.minorticks_off()
    axes.set(xlabel="labels used (%)", ylabel="accuracy (%)", title=title)
    axes.legend(frameon=False)
    return _saved(figure, save_path)


def _figure(size: tuple[float, float]) -> tuple[Figure, Axes]:
    # Not pyplot: a library must neither open a window nor keep every figure alive.
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    return figure, axes


def _saved(figure: Figure, path: str | Path | None) -> Figure:
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150)
    return figure


def _picture(image: NDArray[Any]) -> NDArray[Any]:
    if image.ndim == 3 and image.shape[0] in (1, 3) and image.shape[-1] not in (1, 3):
        image = np.moveaxis(image, 0, -1)
    return image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image


def _grid(weights: NDArray[Any]) -> NDArray[Any]:
    if weights.ndim == 2:
        return weights
    side = round(len(weights) ** 0.5)
    if weights.ndim != 1 or side * side != len(weights):
        raise ValueError(
            f"attention_weights: (h, w), or (N,) of a square grid; got shape {weights.shape}"
        )
    return weights.reshape(side, side)
