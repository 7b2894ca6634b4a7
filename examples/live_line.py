"""Progress on one line of the terminal."""

import shutil
import sys
import time


class LiveLine:
    """One line that is written over; without a terminal, only what it ends on is printed."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._shown = 0.0

    def show(self, text: str) -> None:
        """Write over the line, ten times a second at most."""
        if self._live and time.perf_counter() - self._shown > 0.1:
            self._write(text)
            self._shown = time.perf_counter()

    def end(self, text: str) -> None:
        """Write over the line and go to the next."""
        self._write(text) if self._live else sys.stderr.write(text)
        sys.stderr.write("\n")
        sys.stderr.flush()

    def _write(self, text: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        sys.__stderr__.write(f"\r{text[:width]:<{width}}")
        sys.__stderr__.flush()
