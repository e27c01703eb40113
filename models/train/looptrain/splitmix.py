"""splitmix64's finaliser (Steele, Lea, Flood 2014): the hash that decides what is held out."""

import numpy as np


def mix(key: np.ndarray) -> np.ndarray:
    """uint64 of any shape to uint64; wrapping is meant."""
    with np.errstate(over="ignore"):
        key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return key ^ (key >> np.uint64(31))


def chain(key: np.ndarray, value: np.ndarray) -> np.ndarray:
    """The hash of a sequence that goes on with `value`; the order matters."""
    with np.errstate(over="ignore"):
        return mix(key + np.uint64(0x9E3779B97F4A7C15) + mix(value.astype(np.uint64)))
