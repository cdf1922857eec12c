"""Patterns of paths give the parts of what fits, and nothing for what does not."""

import pytest

from medjepa.data.catalog.patterns import pattern
from medjepa.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "path", "parts"),
    [
        ("{a}/{b}.png", "x/y.png", {"a": "x", "b": "y"}),
        ("{a}/{b}.png", "x/y/z.png", None),
        ("{a}/{a}-{n:digits}.png", "CNV/CNV-12.png", {"a": "CNV", "n": "12"}),
        ("{a}/{a}-{n:digits}.png", "CNV/DME-12.png", None),
        ("{s:train|test}/*.png", "train/any.png", {"s": "train"}),
        ("{s:train|test}/*.png", "val/any.png", None),
        ("**/{f}.png", "a/b/c.png", {"f": "c"}),
        ("**/{f}.png", "c.png", {"f": "c"}),
        ("{p:**}.png", "a/b.png", {"p": "a/b"}),
        ("a/**.png", "a/b/c.png", {}),
        ("benign ({n:digits}).png", "benign (1).png", {"n": "1"}),
        ("benign ({n:digits}).png", "benign (1)_mask.png", None),
        ("a.png", "aXpng", None),
        ("x{size:_64|}.npz", "x.npz", {"size": ""}),
    ],
)
def test_parts(text, path, parts):
    assert pattern(text).match(path) == parts
    assert pattern(text).fits(path) == (parts is not None)


def test_the_root_is_the_fewest_folders_above():
    assert pattern("train/{n}.png").root_of("OCT/data/train/1.png") == "OCT/data/"
    assert pattern("**/{n}.png").root_of("a/b/1.png") == ""
    assert pattern("{n}.png").root_of("a/b/c/d/e/f/1.png") is None


def test_a_brace_that_is_left_over_is_refused():
    with pytest.raises(ConfigError, match="brace"):
        pattern("{a b}.png")
