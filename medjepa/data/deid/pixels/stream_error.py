"""What the cleaners of code streams raise."""


class StreamError(ValueError):
    """A code stream is not built as its standard says."""
