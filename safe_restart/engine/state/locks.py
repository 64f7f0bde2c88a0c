"""Locks on files in the bench's state folder.

The kernel frees a lock when its holder dies, in whatever container. Containers of a bench share that folder, but do not
see each other's pids.
"""

from pathlib import Path

from ..core.bench import Bench
from ..core.files import FileLock


class BenchLock(FileLock):
	"""Held by the one process that may change at present what runs on the bench."""

	def __init__(self, bench: Bench):
		super().__init__(bench.state_path / "lock")


class HelperLock(FileLock):
	"""Held by the helper that carries out a request, until the request ends.

	Where the lock of an open request is free, its helper is dead.
	"""

	def __init__(self, folder: Path, request_id: str):
		super().__init__(folder / f"{request_id}.helper")

	def end(self) -> None:
		"""Release the lock and remove its file."""
		self.path.unlink(missing_ok=True)
		self.release()
