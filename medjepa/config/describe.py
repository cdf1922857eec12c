"""The help text of a verb: its keys with their defaults and meanings."""

from collections.abc import Sequence

from medjepa.config.build import documentation
from medjepa.config.load import show


def help_text(usage: str, keys: Sequence[str]) -> str:
    """List the settings whose key is in `keys` or lies in a section named there ("training")."""
    lines = [usage, ""]
    for key, (default, doc) in documentation().items():
        if key in keys or key.partition(".")[0] in keys:
            lines.append(f"  {key + '=' + show(default):<42} {doc}")
    return "\n".join(lines)
