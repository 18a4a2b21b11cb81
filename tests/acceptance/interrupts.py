"""Ctrl-C and SIGTERM: when they take effect.

The first one ends the steps, once the call that is making something has ended, so that the record knows what there is. During the removal
that follows, the next one prints a warning, and only one more ends the removal.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator


class Interrupts:
    """Turns both signals into `KeyboardInterrupt`."""

    def __init__(self, warning: str) -> None:
        self._warning = warning
        self._is_removing = self._is_warned = False
        self._is_held = self._is_pending = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._received)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """An interruption takes effect at the end of the block."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
            if self._is_pending:
                self._is_pending = False
                raise KeyboardInterrupt

    def begin_removal(self) -> None:
        """From now on, an interruption needs a second one."""
        self._is_removing = True

    def _received(self, *_: object) -> None:
        if self._is_removing and not self._is_warned:
            self._is_warned = True
            print(self._warning, file=sys.stderr, flush=True)
            return
        # At once, so that a second signal cannot end the removal before it has begun.
        self._is_removing = True
        if self._is_held:
            self._is_pending = True
        else:
            raise KeyboardInterrupt
