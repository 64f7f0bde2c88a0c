"""A system clock of the helper's own, which a test may set; the machine's is left alone."""

import os
import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("clock.c")


class Clock:
	"""`environment` is for the command line that starts the helper; `jump` sets the clock. Needs a C compiler."""

	def __init__(self, folder: Path):
		self.offset = folder / "clock-offset"
		library = folder / "clock.so"
		subprocess.run([compiler(), "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True)
		self.jump(0)
		self.environment = {"LD_PRELOAD": str(library), "CLOCK_OFFSET_FILE": str(self.offset)}

	def jump(self, seconds: int) -> None:
		"""From here on it is so many seconds ahead of the machine's, or behind."""
		new = self.offset.with_suffix(".new")
		new.write_text(str(seconds))
		os.replace(new, self.offset)


def compiler() -> str | None:
	return shutil.which("cc") or shutil.which("gcc")
