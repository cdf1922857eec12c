"""The stages of the frozen table: which commands there are, and in which order."""

import argparse
from dataclasses import dataclass

CHEST, ADULTS, SKIN, SKIN_28 = "cxr_kermany", "cxr_nih_224", "derm_isic_uda1", "dermamnist"
VESSELS, MEMBRANES, CELLS = "retina_chase", "em_membrane", "bccd"
LABELS = {CHEST: "label", ADULTS: "label", SKIN: "benign_malignant", SKIN_28: "label"}
NETWORKS = "methods=[pretrained,scratch,frozen_linear,frozen_light]"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One command of the table.

    Attributes:
        name: of its page and its log; pre-trainings are called after their set.
        title: what the reader sees.
        sets: whose images it needs.
        verb: of medjepa.
        arguments: beside data, checkpoint and out.
        run: set of the encoder that is judged; "" for a pre-training.
    """

    name: str
    title: str
    sets: tuple[str, ...]
    verb: str
    arguments: tuple[str, ...]
    run: str = ""


def plan(asked: argparse.Namespace) -> list[Stage]:
    """Every stage; of what an encoder is judged by, what is worth most comes first."""
    return [
        pretraining(CHEST, asked),
        judged(CHEST, "classes", "Pneumonia of children", "few_shot=true"),
        elsewhere(CHEST),
        judged(CHEST, "robustness", "Pneumonia of children, spoilt images", "corruptions=true",
               ood=ADULTS),
        pretraining(ADULTS, asked),
        judged(ADULTS, "classes", "Pneumonia of adults", "few_shot=true",
               "shortcut=[view,age,sex]"),
        elsewhere(ADULTS),
        Stage(
            name=f"{ADULTS}-findings",
            title="Fourteen findings of adults",
            sets=(ADULTS,),
            verb="evaluate",
            arguments=("label=findings", "target=multilabel"),
            run=ADULTS,
        ),
        pretraining(SKIN, asked),
        judged(SKIN, "classes", "Malignant skin lesions", "few_shot=true"),
        pretraining(SKIN_28, asked),
        judged(SKIN_28, "classes", "Seven skin lesions"),
        judged(CHEST, "last4", "Pneumonia of children, last four blocks", "features=last4"),
        judged(ADULTS, "last4", "Pneumonia of adults, last four blocks", "features=last4",
               "shortcut=[view,age,sex]"),
        judged(SKIN, "last4", "Malignant skin lesions, last four blocks", "features=last4"),
        pretraining(MEMBRANES, asked),
        decoded(MEMBRANES, "Membranes", NETWORKS, "background=255", "names=[membrane]",
                "longer_side=256", "steps=100"),
        pretraining(VESSELS, asked),
        decoded(VESSELS, "Retinal vessels", NETWORKS, "labels={name}_1stHO.png", "names=[vessel]",
                "longer_side=512", "overlap=0.25", "steps=60"),
        pretraining(CELLS, asked),
        decoded(CELLS, "Blood cells", "task=detect", "longer_side=160", "steps=300"),
        judged(SKIN_28, "few-shot", "Seven skin lesions, few labels", "few_shot=true"),
    ]  # fmt: skip


def pretraining(name: str, asked: argparse.Namespace) -> Stage:
    """The encoder of a set, from its training part alone."""
    if asked.steps is None:
        # Epochs without end: the minutes decide.
        length = ("training.num_epochs=1000000", f"training.max_minutes={asked.minutes:g}")
    else:
        length = ("training.num_epochs=1000000", f"training.max_steps={asked.steps}")
    return Stage(
        name=name,
        title=f"Pre-training on {name}",
        sets=(name,),
        verb="pretrain",
        arguments=(
            f"model={asked.model}",
            *length,
            # A small set is passed through in few steps: a warm-up of ten passes is then too short
            # and for thousands of images too long.
            "training.warmup_epochs=4",
            f"training.batch_size={16 if name in (VESSELS, MEMBRANES) else 64}",
            "training.learning_rate=0.002",
            "training.lambda_reg=0.388",
            "masking.mask_ratio=0.7",
            "model.num_directions=256",
        ),
    )


def judged(name: str, protocol: str, title: str, *arguments: str, ood: str = "") -> Stage:
    """`medjepa evaluate` on the set's own label."""
    return Stage(
        name=f"{name}-{protocol}",
        title=title,
        sets=(name, ood) if ood else (name,),
        verb="evaluate",
        arguments=(f"label={LABELS[name]}", *arguments, *((f"ood={ood}",) if ood else ())),
        run=name,
    )


def elsewhere(name: str) -> Stage:
    """Children to adults and back, with the encoder of one of them."""
    return Stage(
        name=f"{name}-across",
        title=f"Pneumonia, children to adults and back, encoder of {name}",
        sets=(CHEST, ADULTS),
        verb="evaluate",
        arguments=("label=label", "across=site", "shortcut=none"),
        run=name,
    )


def decoded(name: str, title: str, *arguments: str) -> Stage:
    """`medjepa finetune` with masks or boxes."""
    return Stage(
        name=f"{name}-decoded",
        title=title,
        sets=(name,),
        verb="finetune",
        arguments=arguments,
        run=name,
    )
