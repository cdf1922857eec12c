"""`select`: scores of checkpoints without labels; and, where there are labels, what they say."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from medjepa.config import Config
from medjepa.errors import ConfigError, DataError
from medjepa.evaluation.bootstrap import PatientBootstrap, estimate
from medjepa.evaluation.candidates import Candidate, Keep, find_candidates, loss_differs
from medjepa.evaluation.choice import CheckpointRow, Choice, Preference, around, prefer, word
from medjepa.evaluation.embed import untrained_twin
from medjepa.evaluation.kept import Arrays, Kept, digest, digest_of_model
from medjepa.evaluation.label_free import (
    ALIGNMENT,
    LIDAR,
    LOSS,
    RANKME,
    SCORES,
    UNIFORMITY,
    alignments,
    closeness,
    lidar,
    rank_me,
    uniformity_of,
    weighted_rankme,
)
from medjepa.evaluation.metrics import Floats
from medjepa.evaluation.positive_pairs import Embeddings, view_settings
from medjepa.evaluation.rank_correlation import Correlation, correlate
from medjepa.evaluation.request import Progress
from medjepa.evaluation.runs import load_runs
from medjepa.evaluation.select_material import (
    MIN_IMAGES,
    MOST_IMAGES,
    Embed,
    Model,
    ScoredImages,
    open_material,
)
from medjepa.evaluation.select_probe import Probed, probe
from medjepa.evaluation.select_warnings import warnings_of
from medjepa.training.monitor import ALARM_RANK, ALARM_SPREAD, feature_spread

MOST_RESAMPLES = 200
"""A standard error from 200 resamples is known to 5 %; each costs two eigendecompositions."""

OF_EMBEDDINGS = (RANKME, LIDAR, ALIGNMENT, UNIFORMITY)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the user asks beside the settings.

    Attributes:
        keep: which checkpoints of a run folder.
        images: most images that are embedded.
        num_views: of each image.
        own_views: whether the settings' views were given, and count in place of the checkpoints'.
    """

    keep: Keep = "all"
    images: int = 500
    num_views: int = 10
    own_views: bool = False

    def __post_init__(self) -> None:
        if not MIN_IMAGES <= self.images <= MOST_IMAGES:
            raise ConfigError(f"images: {MIN_IMAGES} to {MOST_IMAGES:,}, got {self.images}")
        if self.num_views < 2:
            raise ConfigError(f"num_views: 2 or more, got {self.num_views}")


def select(config: Config, asked: Asked, *, command: str = "", progress: Progress) -> Choice:
    """Score checkpoints on the same views of the same images.

    Args:
        config: `checkpoint` names the runs; with `label` the scores are checked by a probe.
        asked: which checkpoints, how many images and views.
        command: what the user typed, for the record.
        progress: shows how far the work is.

    Raises:
        CheckpointError: a checkpoint cannot be read.
        ConfigError: checkpoints that cannot be compared.
        DataError: a source cannot be used, or holds too few images.
    """
    runs = (config.checkpoint,) if isinstance(config.checkpoint, str) else config.checkpoint
    candidates = find_candidates(runs, asked.keep)
    views = view_settings(candidates, asked.num_views, config.views if asked.own_views else None)
    probed = probe(candidates, config, progress) if config.label else None
    material = open_material(
        candidates[0].pipeline,
        config,
        views,
        most=asked.images,
        tested=frozenset() if probed is None else probed.tested,
        progress=progress,
    )
    groups = material.groups
    drawn = PatientBootstrap.draw(
        np.zeros(len(groups), np.int64),
        groups,
        num_resamples=min(config.evaluation.num_bootstrap, MOST_RESAMPLES),
        seed=config.seed,
    )
    kept = Kept(config.data.cache_dir)
    rows, samples = [], []
    for number, one in enumerate(candidates):
        model = load_runs(one.file)[0].model
        row, of_row = _row(one, model, material, drawn, kept)
        if probed is not None:
            row = replace(row, probe=probed.values[number])
        rows.append(row)
        samples.append(of_row)
    first = load_runs(candidates[0].file)[0].model
    before = replace(candidates[0], name="untrained", step=0, loss=None, loss_of="not trained")
    twin = untrained_twin(first, seed=candidates[0].seed)
    untrained, _ = _row(before, twin, material, drawn, kept)
    differs = loss_differs(candidates)
    preferences = prefer(rows, samples, num_patients=drawn.num_patients, loss_differs=differs)
    outcome, headline, choose = word(preferences)
    if probed is not None:
        preferences = [_with_blind(one, rows, probed) for one in preferences]
    return Choice(
        outcome=outcome,
        headline=headline,
        choose=choose,
        rows=tuple(rows),
        untrained=untrained,
        preferences=tuple(preferences),
        correlations=() if probed is None else tuple(_correlations(rows, probed, config.seed)),
        baselines=() if probed is None else probed.baselines,
        checks=() if probed is None else probed.checks,
        label=config.label,
        num_images=len(groups),
        num_patients=drawn.num_patients if material.known else None,
        images_from=material.images_from,
        num_views=views.num,
        scale=views.scale,
        strength=views.strength,
        seed=config.seed,
        num_resamples=len(drawn.counts),
        test="" if probed is None else probed.test,
        warnings=(
            *material.notes,
            *warnings_of(
                rows,
                loss_differs=differs,
                num_images=len(groups),
                num_patients=drawn.num_patients,
                known=material.known,
                one_run=len({one.folder.resolve() for one in candidates}) < len(candidates),
                by_label=config.label is not None,
            ),
        ),
        run={"command": command},
    )


def _row(
    candidate: Candidate, model: Model, material: ScoredImages, drawn: PatientBootstrap, kept: Kept
) -> tuple[CheckpointRow, dict[str, Floats]]:
    depends = {
        "select": digest_of_model(model),
        "resamples": digest(drawn.counts, drawn.patient),
        **material.depends,
    }
    found = kept.of(depends, lambda: _scored(candidate, model, material.embed, drawn))
    values = {key: float(found[f"value {key}"]) for key in OF_EMBEDDINGS}
    samples = {key: np.asarray(found[f"samples {key}"], np.float64) for key in OF_EMBEDDINGS}
    rank, spread = values[RANKME], float(found["spread"])
    alike = rank <= ALARM_RANK or spread <= ALARM_SPREAD
    scores = {key: around(value, samples[key], drawn.num_patients) for key, value in values.items()}
    loss = float("nan") if candidate.loss is None else candidate.loss
    scores = {LOSS: estimate(loss, np.empty(0)), **scores}
    row = CheckpointRow(
        name=candidate.name,
        step=candidate.step,
        seed=candidate.seed,
        method=candidate.method,
        num_features=int(found["num_features"]),
        collapsed=f"RankMe {rank:.2f}, spread {spread:.3f}" if alike else "",
        loss_of=candidate.loss_of,
        scores=scores,
    )
    return row, samples


def _scored(candidate: Candidate, model: Model, embed: Embed, drawn: PatientBootstrap) -> Arrays:
    """All that is computed from a checkpoint's embeddings, as it is kept."""
    try:
        found = embed(model)
    except DataError as error:
        raise DataError(f"{candidate.name}: {error}") from error
    values, samples = score(found, drawn)
    kept: Arrays = {
        "spread": np.array(feature_spread(found.whole)),
        "num_features": np.array(found.whole.shape[1]),
    }
    for key in OF_EMBEDDINGS:
        kept |= {f"value {key}": np.array(values[key]), f"samples {key}": samples[key]}
    return kept


def score(found: Embeddings, drawn: PatientBootstrap) -> tuple[dict[str, float], dict[str, Floats]]:
    """Every score that is computed from embeddings: its value, and (R,) on resamples."""
    counts = torch.from_numpy(drawn.counts[:, drawn.patient].astype(np.float64))
    aligned, close = alignments(found.views), closeness(found.views)
    ones = torch.ones(1, len(close), dtype=torch.float64)
    values = {
        RANKME: rank_me(found.whole),
        LIDAR: lidar(found.views),
        ALIGNMENT: float(aligned.mean()),
        UNIFORMITY: float(uniformity_of(close, ones)[0]),
    }
    samples = {
        RANKME: np.array([weighted_rankme(found.whole, row) for row in counts]),
        LIDAR: np.array([lidar(found.views, row) for row in counts]),
        ALIGNMENT: (counts @ aligned / counts.sum(1)).numpy(),
        UNIFORMITY: uniformity_of(close, counts).numpy(),
    }
    return values, samples


def _correlations(rows: Sequence[CheckpointRow], probed: Probed, seed: int) -> list[Correlation]:
    turned = {
        one.key: one.sign * np.array([row.scores[one.key].value for row in rows]) for one in SCORES
    }
    known = {key: values for key, values in turned.items() if np.isfinite(values).all()}
    return correlate(known, probed.auc, probed.samples, seed=seed)


def _with_blind(one: Preference, rows: Sequence[CheckpointRow], probed: Probed) -> Preference:
    """What following the score gains over the mean of all checkpoints, paired."""
    if one.prefers is None:
        return one
    place = [row.name for row in rows].index(one.prefers)
    value = float(probed.auc[place] - probed.auc.mean())
    samples = probed.samples[:, place] - probed.samples.mean(1)
    return replace(one, blind=estimate(value, samples))
