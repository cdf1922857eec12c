"""Everything that looks at volumes and clips in an evaluation: at windows, and at planes."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from medjepa.data.preprocessing import Pipeline
from medjepa.errors import ConfigError
from medjepa.evaluation.embed import untrained_twin
from medjepa.evaluation.planes import PlaneEncoder
from medjepa.evaluation.request import Request
from medjepa.evaluation.results import (
    INFLATED,
    PRETRAINED,
    SLICES,
    SLICES_UNTRAINED,
    TIMM,
    UNTRAINED,
)
from medjepa.evaluation.runs import Run, load_runs
from medjepa.models.image_model import ImageModel
from medjepa.models.inflate import inflate
from medjepa.models.timm_encoder import TimmEncoder
from medjepa.models.vjepa import VJEPA
from medjepa.utils.device import choose_device


class Encoder3D:
    """One frozen encoder of windows: evaluation mode, on its device."""

    def __init__(self, model: VJEPA, device: torch.device) -> None:
        self.model, self.device = model.to(device).eval(), device

    def encode(self, windows: Tensor, spacing: Tensor) -> Tensor:
        """Embeddings (B, D) of windows (B, C, *size) whose voxels have `spacing` (3,)."""
        scale = spacing.to(self.device).expand(len(windows), -1)
        return self.model.encode(windows.to(self.device), spacing=scale)

    def tokens(self, windows: Tensor, spacing: Tensor) -> Tensor:
        """All tokens (B, N, D) of windows."""
        scale = spacing.to(self.device).expand(len(windows), -1)
        given = self.model.standardise(windows.to(self.device))
        return self.model.encoder(given, spacing=scale)  # type: ignore[no-any-return]


def window_encoders(runs: Sequence[Run], request: Request) -> dict[str, Encoder3D]:
    """Both encoders of each run, and the inflated one where it is asked for."""
    device = choose_device(request.device)
    encoders = {}
    for number, run in enumerate(runs):
        assert isinstance(run.model, VJEPA)
        twin = untrained_twin(run.model, seed=run.seed)
        encoders[f"{PRETRAINED} {number}"] = Encoder3D(run.model, device)
        encoders[f"{UNTRAINED} {number}"] = Encoder3D(twin, device)
    if request.inflated:
        assert isinstance(runs[0].model, VJEPA)
        images = _images_run(request.inflated, "inflated")
        try:
            whole = inflate(images, untrained_twin(runs[0].model, seed=runs[0].seed))
        except ValueError as error:
            raise ConfigError(f"evaluation.inflated: {request.inflated}: {error}") from error
        encoders[INFLATED] = Encoder3D(whole, device)
    return encoders


def plane_encoders(request: Request, timm: TimmEncoder | None) -> dict[str, PlaneEncoder]:
    """The 2-D encoder and its untrained twin, and timm's, where they are given."""
    device = choose_device(request.device)
    encoders = {} if timm is None else {TIMM: PlaneEncoder(timm.to(device), timm.size, 3)}
    if not request.slices:
        return encoders
    model = _images_run(request.slices, "slices")
    seed = int(str(model.config["seed"]))
    channels = model.encoder.patch_embedding.in_channels
    size = (model.image_size[0], model.image_size[1])

    def encoder(one: ImageModel) -> PlaneEncoder:
        placed = one.to(device).eval()
        return PlaneEncoder(lambda planes: placed.encode(planes.to(device)), size, channels)

    return {
        **encoders,
        SLICES: encoder(model),
        SLICES_UNTRAINED: encoder(untrained_twin(model, seed=seed)),
    }


def _images_run(path: str | Path, key: str) -> ImageModel:
    run = load_runs(path)[0]
    if not isinstance(run.model, ImageModel) or not isinstance(run.pipeline, Pipeline):
        raise ConfigError(f"evaluation.{key}: {path} is no checkpoint of images")
    return run.model
