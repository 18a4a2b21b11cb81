"""What MiniStack lacks and this project needs, as patches of one exact version; emulator.py lists them.

This module imports no MiniStack: that reads its environment when it is imported, and tests import `records` without it.
"""

from __future__ import annotations

import importlib.metadata
import sys

MINISTACK_VERSION = "1.5.33"


def install() -> None:
    """Patches the MiniStack of this process. Exits if it is not the version that the patches were written for."""
    found = importlib.metadata.version("ministack")
    if found != MINISTACK_VERSION:
        sys.exit(f"emulator: ministack `{MINISTACK_VERSION}` is needed, `{found}` is installed")
    from . import private_api

    if unexpected := private_api.unexpected():
        sys.exit(f"emulator: `{unexpected}` is not what ministack `{found}` has")
    from . import authorization, batch_jobs, dispatch, services, state_machines

    for additions in (authorization, batch_jobs, dispatch, services, state_machines):
        additions.install()
