"""core/files.py: a file has its old text or its new one, and its owner and mode stay; one process has a lock."""

import os
from pathlib import Path

import pytest

from safe_restart.engine.core.files import FileLock, write_atomically


def mode_of(path: Path) -> int:
	return path.stat().st_mode & 0o7777


def test_a_new_file_gets_the_mode_that_was_asked_for(tmp_path):
	before = os.umask(0o077)
	try:
		write_atomically(tmp_path / "new", "text")
		write_atomically(tmp_path / "private", "text", mode=0o600)
	finally:
		os.umask(before)
	assert (mode_of(tmp_path / "new"), mode_of(tmp_path / "private")) == (0o644, 0o600)


def test_a_file_that_is_there_keeps_its_mode_and_its_symbolic_link(tmp_path):
	file, link = tmp_path / "file", tmp_path / "link"
	file.write_text("old")
	file.chmod(0o640)
	link.symlink_to("file")
	write_atomically(link, "new", mode=0o600)
	assert link.is_symlink() and file.read_text() == "new" and mode_of(file) == 0o640


def test_a_file_takes_over_the_mode_of_another(tmp_path):
	model = tmp_path / "model"
	model.touch(0o604)
	model.chmod(0o604)
	write_atomically(tmp_path / "new", "text", like=model)
	assert mode_of(tmp_path / "new") == 0o604


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_file_keeps_its_owner_or_takes_over_that_of_another(tmp_path):
	model = tmp_path / "model"
	model.touch()
	os.chown(model, 1234, 1235)
	write_atomically(model, "text")
	write_atomically(tmp_path / "new", "text", like=model)
	for path in (model, tmp_path / "new"):
		assert (path.stat().st_uid, path.stat().st_gid) == (1234, 1235)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
	file = tmp_path / "file"
	file.write_text("old")

	def fail(handle: int) -> None:
		raise OSError("the disk is full")

	monkeypatch.setattr(os, "fsync", fail)
	with pytest.raises(OSError, match="disk is full"):
		write_atomically(file, "new")
	assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]


def test_what_a_killed_writer_left_behind_is_no_obstacle(tmp_path):
	(tmp_path / ".file.safe-restart").write_text("half")
	write_atomically(tmp_path / "file", "whole")
	assert [path.name for path in tmp_path.iterdir()] == ["file"]
	assert (tmp_path / "file").read_text() == "whole"


def test_a_lock_has_one_holder_until_it_is_released(tmp_path):
	mine, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
	assert mine.take() and mine.take()
	assert not other.take()
	assert not mine.is_free() and not other.is_free()
	mine.release()
	mine.release()
	assert other.is_free() and other.take()
	other.release()


def test_asking_whether_a_lock_is_free_makes_no_file(tmp_path):
	assert FileLock(tmp_path / "lock").is_free()
	assert list(tmp_path.iterdir()) == []


def test_a_lock_file_has_the_mode_that_was_asked_for(tmp_path):
	for mode in (0o600, 0o644):
		lock = FileLock(tmp_path / str(mode), mode)
		assert lock.take() and mode_of(lock.path) == mode
		lock.release()


def test_a_lock_whose_file_is_removed_meanwhile_is_not_taken(tmp_path, monkeypatch):
	lock = FileLock(tmp_path / "lock")
	real = os.open

	def open_and_remove(path, *args):
		handle = real(path, *args)
		os.unlink(path)
		return handle

	monkeypatch.setattr(os, "open", open_and_remove)
	assert not lock.take()
	monkeypatch.undo()
	assert lock.take()
	lock.release()
