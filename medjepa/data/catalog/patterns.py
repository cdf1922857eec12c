r"""Patterns of paths with named parts: `train/{label}/{label}-{patient:digits}-*.jpeg`.

| part | stands for |
|---|---|
| `{name}` | text without a slash, called `name`; the same name again means the same text |
| `{name:digits}` | digits |
| `{name:a\|b}` | one of these words |
| `{name:**}` | text with slashes |
| `*` | text without a slash |
| `**` | text with slashes |
| `**/` | any number of folders |
"""

import re
from functools import cache

from medjepa.errors import ConfigError

_TOKEN = re.compile(r"\{([A-Za-z_]\w*)(?::([^{}]+))?\}|(\*\*/)|(\*\*)|(\*)")
_DEEPEST_ROOT = 5  # wget of PhysioNet makes four: physionet.org/files/NAME/1.0.0


class PathPattern:
    """A compiled pattern; `fields` are the names of its parts, in order."""

    def __init__(self, text: str) -> None:
        self.text = text
        seen: list[str] = []
        expression, end = "", 0
        for token in _TOKEN.finditer(text):
            expression += _literal(text[end : token.start()], text)
            expression += _part(token, seen)
            end = token.end()
        expression += _literal(text[end:], text)
        self.fields = tuple(seen)
        self._whole = re.compile(expression + r"\Z")
        self._below = re.compile(rf"(?P<root_>(?:[^/]+/){{0,{_DEEPEST_ROOT}}}?){expression}\Z")

    def match(self, path: str) -> dict[str, str] | None:
        """The parts of a path that fits as a whole, else None."""
        found = self._whole.match(path)
        return found.groupdict() if found else None

    def fits(self, path: str) -> bool:
        """True if the whole path fits."""
        return self._whole.match(path) is not None

    def root_of(self, path: str) -> str | None:
        """The folders (with a slash at the end) below which the path fits, None if it does not."""
        found = self._below.match(path)
        return found["root_"] if found else None


@cache
def pattern(text: str) -> PathPattern:
    """Compile a pattern once.

    Raises:
        ConfigError: a brace is left over, or a name stands with two meanings.
    """
    return PathPattern(text)


def _literal(text: str, whole: str) -> str:
    if "{" in text or "}" in text:
        raise ConfigError(f"the pattern {whole!r} has a brace that belongs to no {{name}}")
    return re.escape(text)


def _part(token: re.Match[str], seen: list[str]) -> str:
    name, kind, folders, anything, _ = token.groups()
    if name is None:
        return "(?:[^/]+/)*" if folders else ".*" if anything else "[^/]*"
    if name in seen:
        return f"(?P={name})"
    seen.append(name)
    if kind is None:
        inner = "[^/]+?"
    elif kind == "digits":
        inner = "[0-9]+"
    elif kind == "**":
        inner = ".+"
    else:
        inner = "|".join(re.escape(word) for word in kind.split("|"))
    return f"(?P<{name}>{inner})"
