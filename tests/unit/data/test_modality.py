"""Recipes for each kind of image: what they promise, and that they can be replayed."""

import warnings

import numpy as np
import pytest

from medjepa.data.intensity import window_of
from medjepa.data.modality import RECIPES, IntensityPlan
from medjepa.data.modality.colour import Macenko, ShadesOfGrey
from medjepa.data.modality.crops import REGION, CropBorder, CropDisc, CropRegion
from medjepa.data.modality.scales import WindowChannels, ZScore, foreground
from medjepa.data.modality.step import STEPS, Step
from medjepa.data.preprocessing import MedicalImagePreprocessor, Pipeline
from medjepa.errors import ConfigError, InputWarning
from medjepa.types import MODALITIES, MedicalImage


def image(array, modality="generic", axes="yx", **more):
    spacing = (None,) * len(axes)
    return MedicalImage(
        array=array, axes=axes, **{"spacing": spacing, **more}, source="a", modality=modality
    )


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def hounsfield(rng, shape=(1, 40, 50)):
    return rng.integers(-1024, 1500, shape).astype(np.int16)


def test_every_recipe_survives_being_written_down():
    for name in ("auto", *RECIPES):
        plan = IntensityPlan.named(name, "ct")
        assert IntensityPlan.from_dict(plan.to_dict()) == plan
        assert len(plan.describe()) == len(MODALITIES)


def test_an_unknown_recipe_step_or_parameter_is_named():
    with pytest.raises(ConfigError, match=r"data\.intensity: 'ct_lungs'"):
        IntensityPlan.named("ct_lungs")
    with pytest.raises(ConfigError, match=r"data\.modality: 'spect'"):
        IntensityPlan.named("auto", "spect")
    with pytest.raises(ConfigError, match="step 'sharpen' is unknown"):
        Step.from_dict({"step": "sharpen"})
    with pytest.raises(ConfigError, match="window: unknown centre"):
        Step.from_dict({"step": "window", "centre": 3})


def test_every_step_can_be_described():
    assert all(kind().describe() for kind in STEPS.values())


def test_a_plan_without_steps_shows_the_file_as_it_says(rng):
    ct = image(hounsfield(rng), "ct", display_range=(0.0, 80.0))
    assert window_of(IntensityPlan()(ct)) == (0.0, 80.0)


def test_ct_gets_one_window_whatever_the_file_says(rng):
    plan = IntensityPlan.named()
    for shown in (None, (0.0, 80.0)):
        seen = plan(image(hounsfield(rng), "ct", display_range=shown))
        assert window_of(seen) == (-1000.0, 1000.0)
        assert "window -1000 to 1000" in seen.history
    bone = IntensityPlan.named("ct_bone")(image(hounsfield(rng), "ct"))
    assert window_of(bone) == (-500.0, 1300.0)


def test_ct_without_hounsfield_units_is_not_put_into_their_window(rng):
    plan = IntensityPlan.named("auto", "ct")
    export = image(rng.integers(0, 256, (1, 9, 9)).astype(np.uint8))
    assert window_of(plan(export)) == (0.0, 255.0)
    shifted = image(rng.integers(0, 3000, (1, 9, 9)).astype(np.uint16))
    with pytest.warns(InputWarning, match="no value is below -200"):
        low, high = window_of(plan(shifted))
    assert 0 <= low < high <= 3000
    # A slice of soft tissue only has no air, but its header has said what its numbers are.
    tissue = image(np.full((1, 9, 9), 40, np.int16) + np.arange(9), "ct",
                   history=("rescaled: slope 1, intercept -1024",))  # fmt: skip
    assert window_of(IntensityPlan.named()(tissue)) == (-1000.0, 1000.0)


def test_ct_channels_are_the_three_windows(rng):
    values = hounsfield(rng)
    step = WindowChannels(((-1350.0, 150.0), (-125.0, 225.0)))
    seen = step.apply(image(values, "ct"))
    assert seen.array.shape == (2, 40, 50)
    for channel, (low, high) in zip(seen.array, step.windows, strict=True):
        wanted = np.clip((values[0] - low) / (high - low), 0, 1)
        np.testing.assert_allclose(channel / 65535, wanted, atol=1e-5)


def test_z_score_does_not_see_gain_and_offset(rng):
    values = rng.gamma(2.0, 50.0, (1, 8, 30, 30)).astype(np.float32)
    shown = [shown_of(image(v, "mri", "zyx")) for v in (values, values * 7 + 300)]
    np.testing.assert_allclose(shown[0], shown[1], atol=1e-5)


def shown_of(picture):
    seen = IntensityPlan.named()(picture)
    low, high = window_of(seen)
    return np.clip((seen.array - low) / (high - low), 0, 1)


def test_z_score_leaves_the_empty_background_out(rng):
    head = np.zeros((1, 20, 40, 40), np.int16)
    head[:, 5:15, 10:30, 10:30] = rng.normal(400, 30, (1, 10, 20, 20)).round()
    seen = ZScore(low=-1, high=1).apply(image(head, "mri", "zyx"))
    low, high = seen.display_range
    assert (low + high) / 2 == pytest.approx(400, abs=3)
    assert (high - low) / 2 == pytest.approx(30, abs=2)
    assert foreground(head).min() > 0


def test_a_constant_image_is_shown_black_by_every_recipe():
    for name in RECIPES:
        for dtype in (np.uint8, np.int16):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", InputWarning)
                plan = IntensityPlan.named(name)
                seen = plan(image(np.full((1, 20, 20), 7, dtype), "ct"))
            assert np.isfinite(window_of(seen)).all(), name
            if name != "ct_channels":
                pipeline = Pipeline(size=(8, 8), intensity=plan)
                assert pipeline(image(np.full((1, 20, 20), 7, dtype))).max() == 0


def fundus(rng, radius=30, size=(80, 120), centre=(38, 55)):
    rows, columns = np.mgrid[: size[0], : size[1]]
    disc = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2
    colour = rng.integers(60, 250, (3, *size))
    return np.where(disc, colour, rng.integers(0, 5, (3, *size))).astype(np.uint8)


def test_the_disc_is_found_and_squared(rng):
    seen = CropDisc().apply(image(fundus(rng), "retina"))
    height, width = seen.array.shape[1:]
    assert height == width
    assert abs(height - 60) <= 3
    # A disc fills pi / 4 of its square.
    assert np.mean(seen.array.max(axis=0) > 50) == pytest.approx(np.pi / 4, abs=0.04)
    assert seen.array[:, 0, 0].max() == 0


def test_a_disc_cut_above_and_below_becomes_square(rng):
    cut = fundus(rng)[:, 18:60]
    seen = CropDisc().apply(image(cut, "retina"))
    assert seen.array.shape[1] == seen.array.shape[2]
    assert abs(seen.array.shape[1] - 60) <= 3


def test_an_image_without_a_disc_is_left_alone(rng):
    full = rng.integers(60, 250, (3, 40, 40)).astype(np.uint8)
    assert np.array_equal(CropDisc().apply(image(full)).array, full)
    dark = np.zeros((3, 40, 40), np.uint8)
    assert np.array_equal(CropDisc().apply(image(dark)).array, dark)


def test_black_borders_go_and_dark_centres_stay(rng):
    lesion = rng.integers(100, 220, (3, 30, 40)).astype(np.uint8)
    lesion[:, 10:20, 10:30] = 3
    framed = np.zeros((3, 50, 60), np.uint8)
    framed[:, 8:38, 12:52] = lesion
    assert np.array_equal(CropBorder().apply(image(framed)).array, lesion)
    assert np.array_equal(CropBorder().apply(image(lesion)).array, lesion)
    tiny = np.zeros((3, 50, 60), np.uint8)
    tiny[:, 20:24, 20:24] = 200
    assert CropBorder().apply(image(tiny)).array.shape == tiny.shape


def test_ultrasound_is_cropped_to_the_region_of_its_header(rng):
    clip = rng.integers(0, 256, (1, 5, 40, 60)).astype(np.uint8)
    seen = CropRegion().apply(
        image(clip, "ultrasound", "tyx", facts={REGION: "4,6,36,50"},
              spacing=(0.1, 0.5, 0.5), position=(1.0, 2.0, 3.0),
              directions=((0.0, 1.0, 0.0), (1.0, 0.0, 0.0)))
    )  # fmt: skip
    assert np.array_equal(seen.array, clip[:, :, 4:36, 6:50])
    assert seen.position == (1.0 + 6 * 0.5, 2.0 + 4 * 0.5, 3.0)


def test_colour_constancy_takes_the_illuminant_out(rng):
    skin = rng.integers(60, 120, (3, 30, 30)).astype(np.uint8)
    tinted = np.clip(skin * np.array([1.6, 1.0, 0.7])[:, None, None], 0, 255).astype(np.uint8)
    step = ShadesOfGrey()
    one, other = (step.apply(image(v)).array.astype(float) for v in (skin, tinted))
    before = np.abs(tinted.mean((1, 2)) - skin.mean((1, 2))).max()
    after = np.abs(one.mean((1, 2)) / one.mean() - other.mean((1, 2)) / other.mean()).max()
    assert before > 20
    assert after < 0.02


def test_macenko_brings_two_scanners_together(rng):
    stains = np.array([[0.65, 0.07], [0.70, 0.99], [0.29, 0.11]])
    amounts = rng.gamma(1.5, 0.5, (2, 40 * 40))

    def slide(vectors, gain):
        return np.clip(240 * np.exp(-vectors @ (amounts * gain)), 0, 255).reshape(3, 40, 40)

    one = slide(stains, 1.0).astype(np.uint8)
    other = slide(stains * np.array([[1.1], [0.9], [1.2]]), 0.6).astype(np.uint8)
    step = Macenko()
    a, b = (step.apply(image(v)).array.astype(float) for v in (one, other))
    assert np.abs(a - b).mean() < 0.35 * np.abs(one.astype(float) - other).mean()


def test_macenko_leaves_glass_alone():
    glass = np.full((3, 20, 20), 238, np.uint8)
    assert np.array_equal(Macenko().apply(image(glass)).array, glass)


def test_a_pipeline_carries_its_recipe():
    pipeline = Pipeline(size=(8, 8), intensity=IntensityPlan.named("auto", "retina"))
    assert Pipeline.from_dict(pipeline.to_dict()) == pipeline
    # A checkpoint from before there were recipes used the file's own window.
    old = {"size": (8, 8), "channels": 1, "fit": "stretch", "image_size": None}
    assert Pipeline.from_dict(old).intensity == IntensityPlan()


def test_the_preprocessor_can_be_asked_for_a_recipe(rng, tmp_path):
    from PIL import Image

    path = tmp_path / "eye.png"
    Image.fromarray(np.moveaxis(fundus(rng), 0, 2)).save(path)
    plain = MedicalImagePreprocessor((32, 32)).preprocess(path)
    cropped = MedicalImagePreprocessor((32, 32), intensity="auto", modality="retina")
    assert cropped.preprocess(path).shape == plain.shape == (32, 32, 3)
    assert (cropped.preprocess(path) > 0.2).mean() > (plain > 0.2).mean() + 0.2
