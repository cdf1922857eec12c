"""`medjepa embed`: images, volumes or clips in, one row of features each out."""

from pathlib import Path

from medjepa.cli.evaluate import SHORT
from medjepa.config import Config, load_config
from medjepa.errors import ConfigError

HELP = """\
usage: medjepa embed [file.yaml] checkpoint=RUN data=DIR out=DIR [key=value ...]

Embeds images, volumes or clips with a frozen encoder: what the checkpoint takes. A volume is the
mean over windows that cover it, a video the mean over clips=4 parts of it, in bounded memory.

  checkpoint=runs/a     a run folder or a .pt file
  data=DIR              a store, a folder of images or a CSV; several as [a,b]
  out=DIR               a new folder
  format=npz            of the features: npz, csv or safetensors
  group=COLUMN          patients; found by its usual names
  data.table=FILE.csv   the table, if it does not lie beside the images
  data.modality=KIND    if these are of another kind than the images of pre-training
  privacy=allow         takes DICOM whose header identifies its patient
  clips=4               parts of a video
  overlap=0.25          share of a window that its neighbour in a volume sees too
  hardware.device=auto  auto, cuda, mps or cpu

Writes embeddings.npz (or .csv, .safetensors), items.csv (a line for each row: number, key of its
content, part, pseudonym of its patient) and, for its owner only, private/files.csv (which file a
row is).
"""
FORMATS = ("npz", "csv", "safetensors")


def run(arguments: list[str]) -> int:
    """Embed, write the features; returns the exit status."""
    if any(argument in ("-h", "--help") for argument in arguments):
        print(HELP, end="")
        return 0
    config, kind = parse(arguments)
    from medjepa.data.files import check_out
    from medjepa.evaluation.embed_files import OWN, embed_sources, write_embeddings
    from medjepa.utils.progress import progress

    check_out(Path(config.out), own=OWN)
    found = embed_sources(config, progress=progress)
    written = write_embeddings(found, config.out, kind)
    for note in found.notes:
        print(f"! {note}")
    print(
        f"{len(found.features):,} rows of {found.features.shape[1]} features: {written.resolve()}"
    )
    return 0


def parse(arguments: list[str]) -> tuple[Config, str]:
    """Read the arguments: the settings, and the format of the features.

    Raises:
        ConfigError: an unknown key or format, or one of checkpoint, data and out is missing.
    """
    path = None
    if arguments and "=" not in arguments[0]:
        path, arguments = arguments[0], arguments[1:]
    kind, rest = "npz", []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if key == "format":
            kind = value
        else:
            rest.append(SHORT.get(key, key) + equals + value)
    if kind not in FORMATS:
        raise ConfigError(f"format: one of {', '.join(FORMATS)}, got {kind!r}")
    config = load_config(path, rest)
    given = {"checkpoint": config.checkpoint, "data": config.data.sources, "out": config.out}
    if missing := [name for name, value in given.items() if not value]:
        raise ConfigError(
            f"embed: {' and '.join(f'{name}=' for name in missing)} missing; for example "
            "medjepa embed checkpoint=runs/a data=DIR out=embeddings"
        )
    if not isinstance(config.checkpoint, str):
        raise ConfigError("embed: checkpoint= takes one run; run it once for each")
    return config, kind
