"""The owners' own clients: which command fetches a set, and what is needed to run it.

Credentials stay with the client: they are never read, stored or sent from here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medjepa.data.catalog.entry import Download, Entry
from medjepa.errors import ConfigError

_COMPETITION = "competition:"


@dataclass(frozen=True)
class Route:
    """How a client is called.

    Attributes:
        command: the client's command line.
        install: how the client gets onto this machine.
        credentials: what it asks for, and where that comes from.
    """

    command: tuple[str, ...]
    install: str
    credentials: str


def route_of(entry: Entry, folder: Path, names: Sequence[str] = ()) -> Route:
    """The client's command line for a set.

    Raises:
        ConfigError: the set has no client, or the client takes no single files.
    """
    makers = {"kaggle": _kaggle, "synapse": _synapse, "physionet": _physionet}
    if entry.download.route not in makers:
        raise ConfigError(f"{entry.name}: is not fetched by a client ({entry.download.route})")
    if len(names) > 1 or (names and entry.download.route != "kaggle"):
        raise ConfigError(f"files: the client of {entry.download.route} fetches the set as a whole")
    return makers[entry.download.route](entry.download, folder, names)


def _kaggle(source: Download, folder: Path, names: Sequence[str]) -> Route:
    reference = source.reference
    one = [part for name in names for part in ("-f", name)]
    if reference.startswith(_COMPETITION):
        what = ["competitions", "download", "-c", reference.removeprefix(_COMPETITION)]
    else:
        what = ["datasets", "download", "-d", reference]
    return Route(
        ("kaggle", *what, *one, "-p", str(folder), *(["--unzip"] if source.client_unpacks else [])),
        "pip install kaggle",
        "a token: https://www.kaggle.com/settings, Create New Token, saved as "
        "~/.kaggle/kaggle.json and readable only by you",
    )


def _synapse(source: Download, folder: Path, names: Sequence[str]) -> Route:
    return Route(
        ("synapse", "get", "-r", source.reference, "--downloadLocation", str(folder)),
        "pip install synapseclient",
        "a personal access token with the right to download: "
        "https://www.synapse.org/#!PersonalAccessTokens:, as SYNAPSE_AUTH_TOKEN in the environment",
    )


def _physionet(source: Download, folder: Path, names: Sequence[str]) -> Route:
    # As PhysioNet prints below the files of each project; wget asks for the password itself.
    address = f"https://physionet.org/files/{source.reference.strip('/')}/"
    return Route(
        ("wget", "-r", "-N", "-c", "-np", "-nH", "--cut-dirs=3", "-P", str(folder),
         "--ask-password", "--user=YOUR_NAME", address),
        "apt-get install wget, or brew install wget",
        "a credentialed account that has signed the data use agreement of the project; set "
        "PHYSIONET_USER to its name, and wget asks for the password",
    )  # fmt: skip
