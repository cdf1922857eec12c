"""Documented settings keep their names and defaults, and a new one is deliberate."""

from pathlib import Path

import yaml

from medjepa.cli import demo
from medjepa.config.build import documentation
from medjepa.config.load import base_yaml

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTED = """
model: {type: lejepa, image_size: 224, patch_size: 16, in_channels: 3, embed_dim: 768,
  encoder_depth: 12, encoder_heads: 12, predictor_dim: 384, predictor_depth: 6, predictor_heads: 6}
masking: {mask_ratio: 0.75, mask_type: block, num_target_blocks: 4}
training: {batch_size: 64, num_epochs: 100, learning_rate: 0.001, weight_decay: 0.05,
  warmup_epochs: 10, lambda_reg: 1.0}
data: {dataset: "", data_dir: "", target_size: 224, num_workers: 4}
hardware: {device: auto, mixed_precision: true}
logging: {log_every: 50, save_every: 5, checkpoint_dir: checkpoints, use_wandb: false,
  project_name: MedJEPA}
"""
# Who adds one: does somebody need to turn it? Then here, and into the changelog.
FURTHER = """
model: [name, method, objective, projector_dim, projection_dim, num_directions, stop_gradient,
  dropout, kind, positions, teacher_momentum, drop_background]
views: [num_full_views, num_hidden_views, view_mask_type, full_scale, hidden_scale, strength]
mae: [norm_pixels]
simclr: [temperature, hidden_dim, output_dim]
vicreg: [invariance_weight, variance_weight, covariance_weight, hidden_dim, output_dim]
dino: [num_local_views, global_scale, local_scale, momentum, student_temperature,
  first_teacher_temperature, teacher_temperature, temperature_warmup, centring, centre_momentum,
  freeze_epochs, hidden_dim, bottleneck_dim, num_prototypes]
ijepa: [num_targets, target_scale, target_aspect, context_scale, min_context, momentum, teacher]
training: [gradient_clip, final_learning_rate, max_steps, max_minutes]
data: [fit, frames_per_clip, dimensions, spacing, modality, intensity, kinds, select_modality,
  view, body_part, series_kind, pattern, weights, table, image_column, group_column,
  split_column, use_all, val_fraction, cache_dir, crop, foreground, frame_step, frame_seconds,
  contrasts, fourth_axis, held_out, seconds_per_file]
logging: [save_minutes, use_tensorboard]
evaluation: [target, levels, features, class_weight, few_shot, num_bootstrap, batch_size,
  positive, negative, num_splits, shortcut, study, clips, overlap, attentive, slices, inflated,
  timm, timm_weights, across, corruptions, ood]
finetune: [task, labels, boxes, normals, background, longer_side, regions, names, methods,
  fractions, fold, draws, seeds, steps, minutes, batch_size, learning_rate, encoder_rate,
  layer_decay, scratch_rate, weight_decay, strength, patience, last_blocks, rank, overlap]
"""
PLAIN = {"out", "label", "checkpoint", "resume", "seed", "privacy"}


def keys(text):
    return {f"{head}.{key}" for head, names in yaml.safe_load(text).items() for key in names}


def test_documented_settings_keep_their_defaults():
    defaults = {key: default for key, (default, _) in documentation().items()}
    for head, names in yaml.safe_load(DOCUMENTED).items():
        assert names == {key: defaults[f"{head}.{key}"] for key in names}


def test_no_setting_appears_by_accident():
    assert set(documentation()) == keys(DOCUMENTED) | keys(FURTHER) | PLAIN


def test_the_base_file_is_the_defaults():
    file = (ROOT / "configs" / "base_config.yaml").read_text(encoding="utf-8")
    assert file == base_yaml()


def test_the_demo_takes_few_keys():
    assert list(demo.get_type_hints(demo.DemoSettings)) == [
        "kind",
        "out",
        "seed",
        "patients",
        "epochs",
        "minutes",
        "model",
    ]
