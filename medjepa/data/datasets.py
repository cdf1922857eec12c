"""A folder of images with an optional table, file by file; `StoreDataset` is the fast way."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from medjepa.data.files import scan
from medjepa.data.preprocessing import Pipeline
from medjepa.data.tables import FileMatcher, class_names, read_table
from medjepa.errors import DataError

_NUM_NAMED = 10


class MedicalImageDataset(Dataset[Tensor | tuple[Tensor, int]]):
    """Images below a folder as (3, H, W) float32 in [0, 1], with labels where a table has them.

    With `metadata_csv` the rows choose the images and their order: `image_column` holds paths below
    the folder or file names, with or without `file_extension`. Labels become indices into
    `class_names` (sorted; numbers by value).

    Raises:
        DataError: no image, a column that is not there, or rows whose file is missing.
    """

    def __init__(
        self,
        image_dir: str | Path,
        metadata_csv: str | Path | None = None,
        image_column: str = "image_id",
        label_column: str | None = None,
        file_extension: str = ".jpg",
        target_size: tuple[int, int] = (224, 224),
        transform: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.image_dir = Path(image_dir)
        if not self.image_dir.is_dir():
            raise DataError(f"{self.image_dir}: no such folder of images")
        self.transform = transform
        self._pipeline = Pipeline(size=(target_size[0], target_size[1]), channels=3)
        found = [entry.relative for entry in scan(0, self.image_dir)]
        images = [path for path in found if path.lower().endswith(file_extension.lower())]
        self.class_names: list[str] = []
        self.labels: list[int] | None = None
        if metadata_csv is None:
            if label_column is not None:
                raise DataError("label_column needs metadata_csv, the table that has it")
            self.paths = [self.image_dir / path for path in images]
        else:
            self._read_table(Path(metadata_csv), image_column, label_column, images, file_extension)
        if not self.paths:
            raise DataError(f"{self.image_dir}: no file ends in {file_extension}")

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor | tuple[Tensor, int]:
        """The image, and its label where there are labels.

        Raises:
            InputError: the file cannot be read; it is never replaced by a blank image.
        """
        image = torch.from_numpy(self._pipeline(self._pipeline.read(self.paths[index])))
        if self.transform is not None:
            image = self.transform(image)
        return image if self.labels is None else (image, self.labels[index])

    def _read_table(
        self,
        csv: Path,
        image_column: str,
        label_column: str | None,
        images: list[str],
        file_extension: str,
    ) -> None:
        table = read_table(csv, check=False)
        cells = table.column(image_column, "image_column")
        matcher = FileMatcher(images)
        matched = [matcher.find(cell) or matcher.find(cell + file_extension) for cell in cells]
        missing = [cell for cell, path in zip(cells, matched, strict=True) if path is None]
        if missing:
            raise DataError(
                f"{csv}: {len(missing)} of {len(cells)} listed images are not below "
                f"{self.image_dir}: {', '.join(missing[:_NUM_NAMED])}"
                f"{', ...' if len(missing) > _NUM_NAMED else ''}"
            )
        self.paths = [self.image_dir / path for path in matched if path is not None]
        if label_column is not None:
            values = table.column(label_column, "label_column")
            self.class_names = class_names(values)
            numbers = {name: i for i, name in enumerate(self.class_names)}
            self.labels = [numbers[value] for value in values]
