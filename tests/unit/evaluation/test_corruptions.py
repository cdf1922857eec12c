import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from medjepa.evaluation.corruptions import CORRUPTIONS, NUM_SEVERITIES, corrupt
from medjepa.evaluation.metrics import macro_auc
from medjepa.evaluation.outliers import SCORES


def picture(seed=0, shape=(1, 64, 48)):
    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.normal(size=shape), [0, *[2.0] * (len(shape) - 1)])
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return (0.1 + 0.8 * smooth).astype(np.float32)


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("shape", [(1, 64, 48), (3, 40, 40), (1, 12, 24, 24)])
def test_severity_nought_changes_nothing_and_more_severity_changes_more(name, shape):
    if name == "JPEG" and len(shape) > 3:
        pytest.skip("JPEG holds images")
    far = np.zeros(NUM_SEVERITIES + 1)
    for seed in range(6):
        image = picture(seed, shape)
        for severity in range(NUM_SEVERITIES + 1):
            spoilt = corrupt(image, name, severity, seed=(seed,))
            assert spoilt.shape == image.shape
            assert spoilt.dtype == np.float32
            assert spoilt.min() >= 0
            assert spoilt.max() <= 1
            far[severity] += np.sqrt(np.square(spoilt - image).mean()) / 6
    assert far[0] == 0
    assert (np.diff(far) > 0).all(), far


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_same_seed_spoils_alike_and_the_image_given_stays(name):
    image = picture()
    before = image.copy()
    first, second = (corrupt(image, name, 3, seed=(1, 2)) for _ in range(2))
    assert np.array_equal(first, second)
    assert np.array_equal(image, before)


def test_a_grey_image_in_three_channels_stays_grey():
    image = np.repeat(picture(), 3, axis=0)
    for name in CORRUPTIONS:
        spoilt = corrupt(image, name, 4, seed=(0,))
        assert np.abs(spoilt - spoilt[:1]).max() < 0.02, name


@pytest.mark.parametrize("name", SCORES)
def test_what_is_not_like_the_training_is_told_apart_and_what_is_like_it_is_not(name):
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(20, 20))
    train, same = (3 + rng.normal(size=(n, 20)) @ mix for n in (400, 300))
    other = 3 + rng.normal(size=(300, 20)) @ rng.normal(size=(20, 20)) * 1.5
    score = SCORES[name]().fit(train)

    def area(first, second):
        both = np.concatenate([score.score(first), score.score(second)])
        labels = np.repeat([0, 1], [len(first), len(second)])
        return macro_auc(labels, np.stack([-both, both], 1))[0]

    assert area(same, other) > 0.8
    assert area(same, 3 + rng.normal(size=(300, 20)) @ mix) == pytest.approx(0.5, abs=0.08)
    assert (score.score(same) >= 0).all()
