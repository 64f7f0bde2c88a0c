"""Locks on files in the bench's state folder. The kernel frees one when its holder dies, however that happens, and wherever:
all containers of a bench share that folder, and none sees the pids of another.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from .bench import Bench


class FileLock:
	"""An exclusive lock on one file, made where it is missing."""

	def __init__(self, path: Path):
		self.path = path
		self.handle: int | None = None

	def take(self) -> bool:
		"""True where it is ours now, or was already; never waits. Raises OSError where the file cannot be made."""
		if self.handle is not None:
			return True
		handle = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
		try:
			give_to_owner(handle, self.path.parent)
			fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
		except BlockingIOError:
			os.close(handle)
			return False
		self.handle = handle
		return True

	def is_free(self) -> bool:
		"""Whether nobody holds it, this process included."""
		try:
			handle = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
		except FileNotFoundError:
			return True
		try:
			fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
		except BlockingIOError:
			return False
		finally:
			os.close(handle)
		return True

	def release(self) -> None:
		if self.handle is not None:
			os.close(self.handle)
			self.handle = None


class Lock(FileLock):
	"""One executor per bench at a time."""

	def __init__(self, bench: Bench):
		super().__init__(bench.state_path / "lock")


class Life(FileLock):
	"""Held by whoever carries out a request, to its end: free, it says that nobody does any more."""

	def __init__(self, folder: Path, request_id: str):
		super().__init__(folder / f"{request_id}.helper")

	def end(self) -> None:
		self.path.unlink(missing_ok=True)
		self.release()


def give_to_owner(file: Path | int, folder: Path) -> None:
	"""What root makes in the folder of a bench belongs to the bench's owner, who could not use it otherwise."""
	if os.geteuid() == 0:
		owner = folder.stat()
		with suppress(OSError):
			os.chown(file, owner.st_uid, owner.st_gid)
