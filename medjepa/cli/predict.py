"""`medjepa predict`: a few labels in, calibrated chances for everything else out."""

from pathlib import Path

from medjepa.cli.evaluate import SHORT, without_folders
from medjepa.config import Config, load_config
from medjepa.errors import ConfigError

HELP = """\
usage: medjepa predict [file.yaml] checkpoint=RUN data=DIR label=COLUMN out=DIR [key=value ...]

Learns a label from the images that have one (frozen encoder, linear probe, calibrated chances) and
predicts it for all others. First it says what that is worth: cross-validation by patient, beside
an untrained encoder, pixels, gradients and the majority class. Nothing is written if it is not
shown to be better than chance.

  checkpoint=runs/a     a run folder or a .pt file, of images, volumes or clips
  data=DIR              a store, a folder of images or a CSV; several as [a,b]
  label=COLUMN          of the table beside the images; empty cells, and images without a row, are
                        predicted
  out=DIR               a new folder
  group=COLUMN          patients, who are never split; found by its usual names
  study=COLUMN          whose images are averaged; default: the patients
  anyway=true           also a predictor that is not shown to be better than chance
  data.table=FILE.csv   the table, if it does not lie beside the images
  data.modality=KIND    if these are of another kind than the images of pre-training
  privacy=allow         takes DICOM whose header identifies its patient
  seed=0                of folds and resamples
  hardware.device=auto  auto, cuda, mps or cpu

Writes index.html and results.json (what it is worth), and for their owner only predictions.csv (an
image a line), study_predictions.csv (a study a line) and private/files.csv (which file a row is).
"""


def run(arguments: list[str]) -> int:
    """Predict, write the tables and the page; returns the exit status."""
    if any(argument in ("-h", "--help") for argument in arguments):
        print(HELP, end="")
        return 0
    config, anyway = parse(arguments)
    from medjepa.data.files import check_out
    from medjepa.data.results_folder import refuse_others_results
    from medjepa.evaluation.predict_files import OWN, predict, warnings_of, write_tables
    from medjepa.report.predict_page import headline, write_page
    from medjepa.utils.progress import progress

    check_out(Path(config.out), own=OWN)
    refuse_others_results(Path(config.out), "predict")
    predicted = predict(config, anyway=anyway, progress=progress)
    table = write_tables(predicted, config.out)
    command = without_folders(arguments).replace("medjepa evaluate", "medjepa predict", 1)
    page = write_page(predicted, Path(config.out), {"command": command})
    print(headline(predicted))
    for warning in warnings_of(predicted):
        print(f"! {warning}")
    print(f"{len(predicted.rows):,} images predicted: {table.resolve()}")
    print(f"The page: {page.resolve()}")
    return 0


def parse(arguments: list[str]) -> tuple[Config, bool]:
    """Read the arguments: the settings, and whether a predictor may be worthless.

    Raises:
        ConfigError: an unknown key, or one of checkpoint, data, label and out is missing.
    """
    path = None
    if arguments and "=" not in arguments[0]:
        path, arguments = arguments[0], arguments[1:]
    anyway, rest = "false", []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if key == "anyway":
            anyway = value.lower()
        else:
            rest.append(SHORT.get(key, key) + equals + value)
    if anyway not in ("true", "false"):
        raise ConfigError(f"anyway: true or false, got {anyway!r}")
    config = load_config(path, rest)
    given = {
        "checkpoint": config.checkpoint,
        "data": config.data.sources,
        "label": config.label,
        "out": config.out,
    }
    if missing := [name for name, value in given.items() if not value]:
        raise ConfigError(
            f"predict: {' and '.join(f'{name}=' for name in missing)} missing; for example "
            "medjepa predict checkpoint=runs/a data=DIR label=diagnosis out=predictions"
        )
    if not isinstance(config.checkpoint, str):
        raise ConfigError("predict: checkpoint= takes one run")
    return config, anyway == "true"
