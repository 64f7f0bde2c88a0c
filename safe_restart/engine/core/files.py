"""Files that several processes share: locking them, writing them whole, and giving them to the bench's owner."""

import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path


class FileLock:
	"""An exclusive flock(2) on one file, which is made where it is missing. The kernel frees it when its holder dies.

	mode: of the file, where it is made
	"""

	def __init__(self, path: Path, mode: int = 0o600):
		self.path = path
		self.mode = mode
		self.handle: int | None = None

	def take(self) -> bool:
		"""Lock the file; True also where this object holds it already. Never waits (core/waiting.py does).

		False where another process holds the lock, or removed the file just now. Raises OSError where the file cannot
		be made or opened.
		"""
		if self.handle is not None:
			return True
		handle = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, self.mode)
		try:
			give_to_owner(handle, self.path.parent)
			fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
			# A lock on a file that was removed keeps nobody out: Frappe 16 can remove a site's folder of locks.
			if os.fstat(handle).st_nlink > 0:
				self.handle = handle
		except BlockingIOError:
			pass
		finally:
			if self.handle is None:
				os.close(handle)
		return self.handle is not None

	def is_free(self) -> bool:
		"""Whether no process holds the lock, this one included. Raises OSError where the file may not be read.

		The file is never made. The shared lock that this takes lasts for microseconds, and does not disturb a second
		process that asks the same.
		"""
		try:
			handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
		except FileNotFoundError:
			return True
		try:
			fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
		except BlockingIOError:
			return False
		finally:
			os.close(handle)
		return True

	def release(self) -> None:
		"""Unlock the file, which stays; does nothing where this object does not hold the lock."""
		if self.handle is not None:
			os.close(self.handle)
			self.handle = None


def write_atomically(path: Path, text: str, like: Path | None = None, mode: int = 0o644) -> None:
	"""Replace the content of a file in one go: a reader gets the old text or the new, and never a part.

	Without `like` the file keeps its owner and mode, and a new file gets `mode`. A symbolic link stays one. Raises
	OSError, also where this user may not give the new file its old owner; the old file is then as it was.

	like: the file whose mode is taken over, and whose owner where this user may give files away
	"""
	path = path.resolve()
	new = path.with_name(f".{path.name}.safe-restart")
	new.unlink(missing_ok=True)  # left by a process that was killed in the middle of this
	try:
		with open(new, "x", opener=open_private) as file:
			set_owner_and_mode(file.fileno(), path, like, mode)
			file.write(text)
			file.flush()
			os.fsync(file.fileno())
		os.replace(new, path)
	except BaseException:
		new.unlink(missing_ok=True)
		raise


def open_private(path: str, flags: int) -> int:
	"""Open a file, as the built-in `open` asks for it, that only this user may read: it can hold passwords."""
	return os.open(path, flags, 0o600)


def set_owner_and_mode(handle: int, path: Path, like: Path | None, mode: int) -> None:
	"""Give an open file the owner and mode of `like` or of `path`, or only `mode` where `path` does not exist."""
	if like is None and not path.exists():
		os.fchmod(handle, mode)
		return
	model = (like or path).stat()
	try:
		os.fchown(handle, model.st_uid, model.st_gid)
	except PermissionError:
		if like is None:
			raise
	os.fchmod(handle, stat.S_IMODE(model.st_mode))


def give_to_owner(file: Path | int, folder: Path) -> None:
	"""Where root runs this, give a file or folder to the owner of `folder`; otherwise do nothing. Never raises.

	The bench's owner could not use what root makes in the bench.
	"""
	if os.geteuid() == 0:
		owner = folder.stat()
		with suppress(OSError):
			os.chown(file, owner.st_uid, owner.st_gid)
