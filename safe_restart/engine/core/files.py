"""Files that several processes share: locks on them, and whose they are."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path


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


def give_to_owner(file: Path | int, folder: Path) -> None:
	"""What root makes in the folder of a bench belongs to the bench's owner, who could not use it otherwise."""
	if os.geteuid() == 0:
		owner = folder.stat()
		with suppress(OSError):
			os.chown(file, owner.st_uid, owner.st_gid)
