"""Random numbers as a function of (seed, step, stream): a resumed run draws as if never stopped."""

import hashlib

import torch


def generator(seed: int, step: int, stream: str) -> torch.Generator:
    """Return a CPU generator that depends on nothing but its arguments.

    It always lives on the CPU: CUDA draws other numbers from the same seed, and the device must not
    change the experiment.
    """
    digest = hashlib.blake2b(f"{seed}/{step}/{stream}".encode(), digest_size=8).digest()
    # manual_seed takes a signed 64-bit integer
    return torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)
