"""A target for atheris: whatever bytes a script has, it is read, soon, with each line in a statement.

    PYTHONPATH=tests python tests/soak/fuzz_routeros.py -max_total_time=3600 FOLDER

FOLDER holds scripts to begin with; what is worth keeping is written to it. The options are libFuzzer's.
"""

from __future__ import annotations

import sys
from importlib import import_module

atheris = import_module("atheris")  # of the group "fuzz": mypy need not have it

with atheris.instrument_imports(include=["evenflow.formats.routeros"]):
    from reading_holds import must_hold

#: The instruments make everything slower.
PATIENCE = 5.0


def one_input(source: bytes) -> None:
    """What libFuzzer calls."""
    must_hold(source, PATIENCE)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
