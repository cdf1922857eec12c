"""What the catalogue knows of a data set, as types; `loader` builds them from YAML."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Task = Literal[
    "binary", "multiclass", "multilabel", "ordinal", "segmentation", "detection", "regression",
    "none",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What to report for a set, and why that and nothing easier."""

    name: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Sizes as the publisher states them; None where nothing is stated.

    Attributes:
        images: what the reader lists (images, volumes or clips), those without labels included.
        groups: patients, lesions or slides, as the entry's group says.
        labelled: images with a published label, where not all have one.
        classes: images of each class.
        splits: images of each part.
    """

    images: int | None = None
    groups: int | None = None
    labelled: int | None = None
    classes: Mapping[str, int] = field(default_factory=dict)
    splits: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Licence:
    """The terms: an SPDX name where there is one.

    Attributes:
        name: SPDX identifier, or the publisher's own name of the terms.
        url: where the terms stand.
        agreement: somebody must agree to them before downloading.
    """

    name: str
    url: str
    agreement: bool = False


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who may fetch the files, and the steps to become one who may."""

    kind: Literal["open", "registration", "agreement", "credentialed"]
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file as published; checksums only where the publisher, or a known client, states them."""

    name: str
    url: str = ""
    size: int | None = None
    md5: str = ""
    sha256: str = ""
    optional: bool = False


@dataclass(frozen=True, kw_only=True)
class Download:
    """The owner's own route to the files.

    Attributes:
        route: https (openly published addresses), the client of kaggle, synapse or physionet, or
            manual, where a click is needed.
        reference: what the client is given: a Kaggle data set or competition:NAME, a Synapse
            identifier, a PhysioNet path.
        files: what is fetched over https, or what lies in the folder after the owner's own steps.
        client_unpacks: the client unpacks too, since members differ in nothing but upper case.
    """

    route: Literal["https", "kaggle", "synapse", "physionet", "manual"]
    reference: str = ""
    files: tuple[RemoteFile, ...] = ()
    client_unpacks: bool = False


@dataclass(frozen=True, kw_only=True)
class TableRule:
    """A table of the set, and how its rows find their images.

    Attributes:
        file: pattern of its path below the root.
        key: the column that names the image.
        on: the field of the images that the key equals; "file" also takes names without ending.
        key_pattern: instead of `on`, a pattern of the key; a row belongs to the images that have
            the same fields.
        split: the part of the split that the rows of this table belong to, "" for none.
        optional: the set is read without it too.
        complete: every row names an image that must be there.
    """

    file: str
    key: str
    key_pattern: str = ""
    on: str = "file"
    split: str = ""
    optional: bool = False
    complete: bool = True


@dataclass(frozen=True, kw_only=True)
class SidecarRule:
    """A small file that describes the images with which it shares the fields of its pattern.

    Attributes:
        file: pattern of its path below the root.
        format: keys (lines "Key: value"), voc (Pascal VOC boxes: column "objects") or phases
            (surgical phases a frame: column "phases", and "num_frames").
    """

    file: str
    format: Literal["keys", "voc", "phases"]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the set lies on disk, as published; patterns are relative to its root.

    The root is the shallowest folder, at most five below the one given, where every mark is found.

    Attributes:
        reader: files (images, tables, sidecars), arrays (npz or HDF5 with images inside) or
            decathlon (dataset.json lists images and labels).
        marks: patterns that must all be found; also how a set is recognised.
        images: patterns of the images; the first that fits counts. For arrays: of their files.
        once: a field; of images with its value the one of the earlier pattern is read, for sets
            that are known with every file twice.
        masks: patterns of label maps; each belongs to the image with the same fields.
        tables: tables that describe images.
        sidecars: small files that describe images.
    """

    reader: Literal["files", "arrays", "decathlon"] = "files"
    marks: tuple[str, ...]
    images: tuple[str, ...] = ()
    once: str = ""
    masks: tuple[str, ...] = ()
    tables: tuple[TableRule, ...] = ()
    sidecars: tuple[SidecarRule, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LabelRule:
    """Where the label of an image stands.

    Attributes:
        kind: none; field (of the image's path); column (one class); joined (several classes in one
            column); columns (one column a class, marked when it applies); number (regression);
            inside (the file or list that holds the images).
        name: the field or column.
        separator: between the classes of a joined column.
        nothing: words of a column or joined column that mean: no class.
        unknown: marks in columns that mean neither yes nor no.
        values: what the files write, to the name of a class, where these differ.
        several: with several rows an image: same (they must agree), any, majority (of the rows), or
            highest (the last class in the entry's order).
        required: every image has a label.
    """

    kind: Literal["none", "field", "column", "joined", "columns", "number", "inside"]
    name: str = ""
    separator: str = "|"
    nothing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    several: Literal["same", "any", "majority", "highest"] = "same"
    required: bool = True


@dataclass(frozen=True, kw_only=True)
class GroupRule:
    """What must not be torn apart by a split.

    Attributes:
        what: patient, lesion, slide, ...; "none published" where images cannot be grouped.
        kind: none, field (of the image's path) or column.
        name: the field or column.
        note: what a reader of the results should know.
        required: every image has a group.
    """

    what: str
    kind: Literal["none", "field", "column"] = "none"
    name: str = ""
    note: str = ""
    required: bool = True


@dataclass(frozen=True, kw_only=True)
class SplitRule:
    """The official split, if there is one.

    Attributes:
        kind: none, field (of the image's path), column, table (each table has its part), lists
            (text files that name images), ranges (of a number in the path) or inside.
        name: the field or column; for ranges, the field with the number.
        values: what the files write, to train, val or test.
        lists: part to pattern of the text file that names its images, one a line.
        ranges: part to "first-last", both included.
        rest: the part of images that nothing else puts into one, "" for none.
        leaks: groups are known to cross it, which is then a note and not a problem.
        note: what a reader of the results should know.
    """

    kind: Literal["none", "field", "column", "table", "lists", "ranges", "inside"]
    name: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, str] = field(default_factory=dict)
    ranges: Mapping[str, str] = field(default_factory=dict)
    rest: str = ""
    leaks: bool = False
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One data set.

    Attributes:
        name: lower case, as in `medjepa data show NAME`.
        classes: what the files write, to what it means, in a fixed order.
        traps: what goes wrong with this set: leaks, duplicates, odd encodings.
        commands: `medjepa` command lines to begin with; DIR is the folder.
        sources: addresses of what is said here.
    """

    name: str
    title: str
    modality: str
    dimensions: Literal["2D", "3D", "video"]
    task: Task
    metric: Metric
    classes: Mapping[str, str] = field(default_factory=dict)
    counts: Counts
    licence: Licence
    access: Access
    homepage: str
    citation: str
    download: Download
    layout: Layout
    label: LabelRule
    group: GroupRule
    split: SplitRule
    traps: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    sources: tuple[str, ...]
