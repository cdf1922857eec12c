"""A stand-in for a decoder that crashes; it is imported in a decoding process."""

import os
import time


def misbehave(task: str, value: str) -> str:
    """Some tasks kill their process, raise, or never end."""
    if task == "crash":
        os._exit(3)
    if task == "raise":
        raise ValueError("a bug in a decoder")
    if task == "hang":
        time.sleep(60)
    return f"{task}{value}"
