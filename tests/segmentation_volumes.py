"""Small volumes with label maps in memory, and a network that can learn them in a few steps."""

import numpy as np
import torch

from medjepa.evaluation.dice import Structure
from medjepa.evaluation.segmentation_data import share_out
from medjepa.evaluation.segmentation_run import Trained, label_values

STRUCTURES = (Structure("bright", (2,)), Structure("grey", (5,)))


class MemoryVolumes:
    """Boxes of two grey levels in the dark; their label values are 2 and 5."""

    def __init__(self, num=12, *, regions=False, seed=0):
        rng = np.random.default_rng(seed)
        self.regions, self.structures = regions, STRUCTURES
        self.images, self.labels = [], []
        for _ in range(num):
            shape = tuple(rng.integers(6, 11, 3))
            labels = np.zeros(shape, np.uint8)
            labels[1:4, 1:5, 1:5], labels[4:6, 2:4, 2:6] = 2, 5
            image = rng.random(shape) * 0.2 + (labels == 2) * 0.7 + (labels == 5) * 0.35
            self.images.append(image[None].astype(np.float32))
            self.labels.append(labels)

    def shape(self, case):
        return self.labels[case].shape

    def spacing(self, case):
        return (2.0, 1.0, 1.0)

    def known_spacing(self, case):
        return self.spacing(case)

    def turned(self, case):
        return False

    def read(self, case, start, shape):
        box = tuple(slice(s, s + n) for s, n in zip(start, shape, strict=True))
        return self.images[case][(slice(None), *box)]

    def truth(self, case):
        labels = self.labels[case]
        return np.stack([labels > 0, labels == 2]).astype(np.uint8) if self.regions else labels

    def crops(self, train, *, window, seed):
        raise AssertionError("`learner` reads whole volumes")


def memory_cases(num=12, *, num_folds=3):
    return share_out(
        [f"k{i}" for i in range(num)],
        [f"p{i}" for i in range(num)],
        [str(i % num_folds) for i in range(num)],
        column="fold",
    )


class PointNetwork(torch.nn.Module):
    """Every voxel by itself: enough for what differs by its grey level."""

    def __init__(self, num_outputs, seed):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.layers = torch.nn.Sequential(
                torch.nn.Conv3d(1, 16, 1), torch.nn.ReLU(), torch.nn.Conv3d(16, num_outputs, 1)
            )

    def forward(self, images):
        return self.layers(images)


def learner(volumes, *, steps=150, calls=None):
    """Trains on whole volumes, one a step; says in `calls` what it was asked."""
    classes = np.zeros(256, np.int64)
    classes[label_values(STRUCTURES)] = np.arange(3)

    def learn(network, train, *, method, folder, seed):
        if calls is not None:
            calls.append(folder.name)
        optimizer = torch.optim.Adam(network.parameters(), 0.05)
        for step in range(steps):
            case = int(train[step % len(train)])
            images, truth = torch.from_numpy(volumes.images[case])[None], volumes.truth(case)
            scores = network(images)
            if volumes.regions:
                target = torch.from_numpy(truth).float()[None]
                loss = torch.nn.functional.binary_cross_entropy_with_logits(scores, target)
            else:
                target = torch.from_numpy(classes[truth])[None]
                loss = torch.nn.functional.cross_entropy(scores, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return Trained(num_steps=steps, seconds=0.5)

    return learn
