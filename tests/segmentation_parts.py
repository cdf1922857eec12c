"""Parts of a segmentation study made up for tests."""

import math

from medjepa.evaluation.segmentation_results import CaseScore, Part, StructureScore


def structure(name, dice, *, num_truth=100, num_predicted=100):
    return StructureScore(
        structure=name,
        dice=dice,
        iou=dice / (2 - dice) if dice == dice else math.nan,
        hd95=10 * (1 - dice),
        mean_distance=2 * (1 - dice),
        num_truth=num_truth,
        num_predicted=num_predicted,
    )


def part(method, dices, *, fraction=1.0, fold="0", seed=0, patients=None, first_case=0, names=None):
    """One part; `dices` is for each case a list of one Dice for each structure."""
    cases = tuple(
        CaseScore(
            case=first_case + number,
            patient=first_case + number if patients is None else patients[number],
            structures=tuple(
                structure(names[i] if names else f"s{i}", float(d)) for i, d in enumerate(row)
            ),
        )
        for number, row in enumerate(dices)
    )
    return Part(
        method=method,
        fraction=fraction,
        fold=fold,
        seed=seed,
        num_labels=80,
        num_parameters=1000,
        num_steps=50,
        seconds=3.0,
        cases=cases,
    )
