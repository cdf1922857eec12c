"""Encoders by name; the first is for tests, the next is meant for CPUs."""

ENCODERS: dict[str, dict[str, int]] = {
    "vit_test": {
        "image_size": 32, "patch_size": 8, "embed_dim": 32, "encoder_depth": 2, "encoder_heads": 2,
        "predictor_dim": 32, "predictor_depth": 1, "predictor_heads": 2,
    },
    "vit_ti8_64": {
        "image_size": 64, "patch_size": 8, "embed_dim": 192, "encoder_depth": 4, "encoder_heads": 3,
        "predictor_dim": 96, "predictor_depth": 2, "predictor_heads": 3,
    },
    "vit_s8_64": {
        "image_size": 64, "patch_size": 8, "embed_dim": 384, "encoder_depth": 12, "encoder_heads": 6,
        "predictor_dim": 192, "predictor_depth": 4, "predictor_heads": 6,
    },
    "vit_ti16": {
        "image_size": 224, "patch_size": 16, "embed_dim": 192, "encoder_depth": 12, "encoder_heads": 3,
        "predictor_dim": 96, "predictor_depth": 4, "predictor_heads": 3,
    },
    "vit_s16": {
        "image_size": 224, "patch_size": 16, "embed_dim": 384, "encoder_depth": 12, "encoder_heads": 6,
        "predictor_dim": 192, "predictor_depth": 6, "predictor_heads": 6,
    },
    "vit_b16": {
        "image_size": 224, "patch_size": 16, "embed_dim": 768, "encoder_depth": 12, "encoder_heads": 12,
        "predictor_dim": 384, "predictor_depth": 6, "predictor_heads": 6,
    },
    "vit_l16": {
        "image_size": 224, "patch_size": 16, "embed_dim": 1024, "encoder_depth": 24, "encoder_heads": 16,
        "predictor_dim": 384, "predictor_depth": 12, "predictor_heads": 12,
    },
}  # fmt: skip
