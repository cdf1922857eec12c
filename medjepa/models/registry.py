"""Encoders by name; the first is for tests, the next is meant for CPUs."""


def _sizes(
    image: int, patch: int, width: int, depth: int, heads: int, *, predictor: tuple[int, int, int]
) -> dict[str, int]:
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


ENCODERS: dict[str, dict[str, int]] = {
    "vit_test": _sizes(32, 8, 32, 2, 2, predictor=(32, 1, 2)),
    "vit_ti8_64": _sizes(64, 8, 128, 4, 4, predictor=(64, 2, 4)),
    "vit_s8_64": _sizes(64, 8, 384, 12, 6, predictor=(192, 4, 6)),
    "vit_ti16": _sizes(224, 16, 192, 12, 3, predictor=(96, 4, 3)),
    "vit_s16": _sizes(224, 16, 384, 12, 6, predictor=(192, 6, 6)),
    "vit_b16": _sizes(224, 16, 768, 12, 12, predictor=(384, 6, 6)),
    "vit_l16": _sizes(224, 16, 1024, 24, 16, predictor=(384, 12, 12)),
}
