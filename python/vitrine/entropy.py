"""Randomness after a fork: two cells of one zygote, or of one snapshot, must not share a stream.

``os.urandom`` is fresh in each cell, by the host. What has been drawn from it earlier, or derived
from it, is drawn again here, and clocks that started then start again. The hash secret alone cannot
be changed after the start, nor can what a package has drawn for itself while it was imported.
"""

import sys
from posix import urandom
from time import time_ns

from vitrine import BUILTINS

__builtins__ = BUILTINS

# Modules with attributes that cache something random or meant to be unique.
_FORGET = (
    ("uuid", ("_node", "_last_timestamp", "_last_timestamp_v6", "_last_timestamp_v7")),
    ("tempfile", ("_name_sequence",)),
)


_SEED_BYTES = 32
_is_fresh = False


def reseed_once() -> None:
    """Reseed every generator that is there already, unless this process has done so.

    Modules imported later seed themselves.
    """
    global _is_fresh
    if not _is_fresh:
        _is_fresh = True
        _reseed()


def share() -> None:
    """Expect to be forked: what is fresh here will not be in each of the children."""
    global _is_fresh
    _is_fresh = False


def _reseed() -> None:
    modules = sys.modules
    if "random" in modules:
        # Without an argument it would take 2,500 bytes.
        modules["random"].seed(int.from_bytes(urandom(_SEED_BYTES)))
    for name, attributes in _FORGET:
        if module := modules.get(name):
            for attribute in attributes:
                if hasattr(module, attribute):
                    setattr(module, attribute, None)
    if logging := modules.get("logging"):
        logging._startTime = time_ns()  # what relative times count from
    if numpy_random := modules.get("numpy.random"):
        # Without an argument it would take one of its own, and ten times as long.
        numpy_random.seed(list(urandom(_SEED_BYTES)))
