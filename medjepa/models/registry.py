"""Encoders by name; the first is for tests, the next is meant for CPUs."""

Size = int | str | tuple[int, int, int]


def _sizes(
    image: int, patch: int, width: int, depth: int, heads: int, *, predictor: tuple[int, int, int]
) -> dict[str, Size]:
    """Name the numbers as `LeJEPA` does; `predictor` is (width, depth, heads)."""
    predictor_dim, predictor_depth, predictor_heads = predictor
    return {
        "image_size": image,
        "patch_size": patch,
        "embed_dim": width,
        "encoder_depth": depth,
        "encoder_heads": heads,
        "predictor_dim": predictor_dim,
        "predictor_depth": predictor_depth,
        "predictor_heads": predictor_heads,
    }


def _volumes(
    image: tuple[int, int, int],
    patch: tuple[int, int, int],
    width: int,
    depth: int,
    heads: int,
    *,
    predictor: tuple[int, int, int],
    kind: str = "volume",
) -> dict[str, Size]:
    """Name the numbers of a model of volumes (z, y, x) or clips (t, y, x)."""
    return {
        **_sizes(0, 0, width, depth, heads, predictor=predictor),
        "type": "vjepa",
        "kind": kind,
        "image_size": image,
        "patch_size": patch,
        "in_channels": 1,
    }


ENCODERS: dict[str, dict[str, Size]] = {
    "vit_test": _sizes(32, 8, 32, 2, 2, predictor=(32, 1, 2)),
    "vit_ti8_64": _sizes(64, 8, 128, 4, 4, predictor=(64, 2, 4)),
    "vit_s8_64": _sizes(64, 8, 384, 12, 6, predictor=(192, 4, 6)),
    "vit_ti16": _sizes(224, 16, 192, 12, 3, predictor=(96, 4, 3)),
    "vit_s16": _sizes(224, 16, 384, 12, 6, predictor=(192, 6, 6)),
    "vit_b16": _sizes(224, 16, 768, 12, 12, predictor=(384, 6, 6)),
    "vit_l16": _sizes(224, 16, 1024, 24, 16, predictor=(384, 12, 12)),
    "vit3d_test": _volumes((16, 16, 16), (8, 8, 8), 48, 2, 2, predictor=(32, 1, 2)),
    "vit3d_ti10_40": _volumes((40, 40, 40), (10, 10, 10), 96, 3, 4, predictor=(64, 2, 4)),
    "vit3d_ti8": _volumes((48, 64, 48), (8, 8, 8), 192, 6, 6, predictor=(96, 2, 3)),
    "vit3d_s16": _volumes((64, 128, 128), (8, 16, 16), 384, 12, 6, predictor=(192, 6, 6)),
    "vit3d_b16": _volumes((64, 224, 224), (8, 16, 16), 768, 12, 12, predictor=(384, 6, 6)),
    "clip_ti16_64": _volumes(
        (12, 64, 64), (2, 16, 16), 96, 3, 4, predictor=(64, 2, 4), kind="clip"
    ),
    "clip_ti16": _volumes((8, 64, 64), (2, 16, 16), 192, 6, 6, predictor=(96, 2, 3), kind="clip"),
    "clip_s16": _volumes(
        (16, 112, 112), (2, 16, 16), 384, 12, 6, predictor=(192, 6, 6), kind="clip"
    ),
    "clip_b16": _volumes(
        (16, 224, 224), (2, 16, 16), 768, 12, 12, predictor=(384, 12, 12), kind="clip"
    ),
}
