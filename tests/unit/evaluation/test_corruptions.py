import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import norm
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import NearestNeighbors

from medjepa.evaluation.corruptions import CORRUPTIONS, NUM_SEVERITIES, corrupt
from medjepa.evaluation.metrics import macro_auc
from medjepa.evaluation.outliers import SCORES, MahalanobisScore, NeighbourScore, told_apart


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


def test_distances_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    train, new = rng.normal(size=(60, 7)) @ rng.normal(size=(7, 7)) + 2, rng.normal(size=(9, 7))
    scale = train.std(0)
    expected = LedoitWolf().fit(train / scale).mahalanobis(new / scale) ** 0.5
    assert MahalanobisScore().fit(train).score(new) == pytest.approx(expected)
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (train, new)]
    far, _ = NearestNeighbors(n_neighbors=10).fit(unit[0]).kneighbors(unit[1])
    assert NeighbourScore().fit(train).score(new) == pytest.approx(far[:, -1])


def test_an_image_and_its_spoilt_self_are_one_patient_s():
    """Coverage over studies of few patients, where both share nearly everything.

    (Percentiles of a bootstrap over these patients hold the truth in 58 % of the studies.)
    """
    truth, inside = norm.cdf(0.2 / np.sqrt(2)), 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        patients = np.arange(20)
        shared = rng.normal(size=20) * 0.99**0.5
        clean, spoilt = (shared + rng.normal(size=20) * 0.01**0.5 + by for by in (0.0, 0.2))
        found = told_apart(clean, spoilt, np.concatenate([patients, patients]))
        assert found.low < found.value < found.high
        inside += found.low <= truth <= found.high
    assert 0.91 <= inside / 300 <= 0.985  # three standard errors about .95


def smooth_middle(shape=(1, 64, 64)):
    """A smooth picture so far from 0 and 1 that nothing is cut off."""
    return (0.4 + 0.2 * picture(3, shape)).astype(np.float32)


def test_corruptions_do_what_their_names_say():
    image = smooth_middle()
    grey = np.full((1, 64, 64), 0.5, np.float32)
    for severity, amount in enumerate((0.03, 0.06, 0.10), start=1):
        # 4,096 pixels tell a deviation to 1.1 %.
        assert corrupt(grey, "noise", severity, seed=(0,)).std() == pytest.approx(amount, rel=0.04)
    for severity, left in ((1, 0.8), (5, 0.25)):
        spoilt = corrupt(image, "contrast", severity, seed=(0,))
        assert spoilt.mean() == pytest.approx(image.mean(), abs=1e-5)
        assert spoilt.std() == pytest.approx(left * image.std(), rel=1e-4)
    for seed in range(5):
        ghosts = corrupt(image, "ghosting", 5, seed=(seed,))
        assert ghosts.mean() == pytest.approx(image.mean(), abs=1e-5)
        factor = corrupt(image, "bias field", 5, seed=(seed,)) / image
        assert 0.5 - 1e-4 <= factor.min() < factor.max() <= 2 + 1e-4
        assert max(1 / factor.min(), factor.max()) == pytest.approx(2, rel=1e-3)
    point = np.zeros((1, 65, 65), np.float32)
    point[0, 32, 32] = 1
    spread = corrupt(point, "blur", 5, seed=(0,))[0].astype(np.float64)
    variance = (spread.sum(0) * (np.arange(65) - 32) ** 2).sum() / spread.sum()
    assert variance**0.5 == pytest.approx(0.9 + 0.03 * 65, rel=0.03)
    fine = (np.indices((64, 64)).sum(0)[None] % 2).astype(np.float32)
    assert corrupt(fine, "resolution", 2, seed=(0,))[:, 8:-8, 8:-8].std() < 0.05


def test_a_crop_is_the_inner_part_enlarged():
    ramp = np.tile(np.linspace(0, 1, 100, dtype=np.float32), (1, 100, 1))
    first = []
    for seed in range(20):
        row = corrupt(ramp, "crop", 5, seed=(seed,))[0, 50]
        assert (np.diff(row) >= 0).all()
        assert row[-1] - row[0] == pytest.approx(0.6, abs=0.02)
        first.append(row[0])
    assert 0.25 * 0.4 - 0.01 <= min(first) < 0.15 < 0.25 < max(first) <= 0.75 * 0.4 + 0.01
