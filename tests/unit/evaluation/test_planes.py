"""What plain baselines see of a volume: means over its planes, however they are computed."""

import numpy as np
import pytest

from medjepa.evaluation.baselines import oriented_gradients
from medjepa.evaluation.planes import PRINTS, describe_planes
from medjepa.evaluation.results import GRADIENTS, PIXELS


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_gradients_of_a_volume_are_the_mean_of_those_of_its_planes(channels):
    planes = np.random.default_rng(0).random((5, channels, 40, 52), dtype=np.float32)
    # Two contrasts stand side by side, three colours are one picture.
    parts = planes[:, None] if channels != 2 else planes[:, :, None]
    each = [np.concatenate([oriented_gradients(one[None])[0] for one in part]) for part in parts]
    found = describe_planes(iter(planes), {})
    assert found[GRADIENTS] == pytest.approx(np.mean(each, axis=0), abs=1e-5)
    assert found[GRADIENTS].std() > 0.01


def test_voxels_follow_the_order_of_the_planes_and_gradients_do_not():
    planes = np.random.default_rng(1).random((16, 1, 32, 32), dtype=np.float32)
    up, down = describe_planes(planes, {}), describe_planes(planes[::-1], {})
    assert up[PIXELS] == pytest.approx(down[PIXELS].reshape(16, -1)[::-1].ravel(), abs=1e-6)
    assert up[GRADIENTS] == pytest.approx(down[GRADIENTS], abs=1e-5)
    assert np.linalg.norm(up[PRINTS]) == pytest.approx(1, abs=1e-5)
