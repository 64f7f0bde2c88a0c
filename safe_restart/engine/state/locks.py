"""Locks on files in the bench's state folder. The kernel frees one when its holder dies, however that happens, and wherever:
all containers of a bench share that folder, and none sees the pids of another.
"""

from pathlib import Path

from ..core.bench import Bench
from ..core.files import FileLock


class BenchLock(FileLock):
	"""One executor per bench at a time."""

	def __init__(self, bench: Bench):
		super().__init__(bench.state_path / "lock")


class HelperLock(FileLock):
	"""Held by whoever carries out a request, to its end: free, it says that nobody does any more."""

	def __init__(self, folder: Path, request_id: str):
		super().__init__(folder / f"{request_id}.helper")

	def end(self) -> None:
		self.path.unlink(missing_ok=True)
		self.release()
