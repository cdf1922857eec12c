"""What checks annotations while tests run (see `--jaxtyping-packages` in pyproject.toml)."""

from beartype import BeartypeConf, beartype

# An int is welcome where a float is asked for, as for mypy and everybody else.
check = beartype(conf=BeartypeConf(is_pep484_tower=True))
