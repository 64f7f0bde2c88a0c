"""One executor per bench. The kernel frees the lock when its holder dies, however that happens."""

import fcntl
import os
from pathlib import Path

from .bench import Bench


class Lock:
	"""An exclusive lock on a file in the bench's state folder."""

	def __init__(self, bench: Bench):
		self.path: Path = bench.state_path / "lock"
		self.handle: int | None = None

	def take(self) -> bool:
		"""True where it is ours now, or was already; never waits."""
		if self.handle is not None:
			return True
		handle = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
		if os.geteuid() == 0:  # root may be the first who comes, and not the last
			owner = self.path.parent.stat()
			os.fchown(handle, owner.st_uid, owner.st_gid)
		try:
			fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
		except BlockingIOError:
			os.close(handle)
			return False
		self.handle = handle
		return True

	def release(self) -> None:
		if self.handle is not None:
			os.close(self.handle)
			self.handle = None
