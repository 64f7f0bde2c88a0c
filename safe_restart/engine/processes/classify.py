"""What a command line runs, and whether it belongs to a bench."""

import re
from collections.abc import Sequence
from pathlib import Path

from ..core import bench as benches
from ..core.bench import Bench

WEB, WORKERS, SCHEDULER, SOCKETIO, REDIS, OTHER = "web", "workers", "scheduler", "socketio", "redis", "other"
KINDS = (WEB, WORKERS, SCHEDULER, SOCKETIO, REDIS)

# The programs with which bench's commands are called, and their commands that are services. `celery worker` is none.
BENCH_COMMANDS = ("bench", "frappe", "frappe.utils.bench_helper", "bench_helper.py")
VERBS = {"serve": WEB, "worker": WORKERS, "worker-pool": WORKERS, "schedule": SCHEDULER}

# Programs whose command lines name what they start; they are no services themselves.
WRAPPERS = ("sh", "dash", "bash", "zsh", "ash", "ksh", "fish", "tmux")


def kind_of(command: str) -> str:
	"""The kind of service that a command line runs: one of KINDS, or OTHER.

	The commands that bench writes are known (FACTS 2), and similar ones. Of several commands, as in `cd … && bench
	worker`, the last one that is known counts.
	"""
	kinds = [kind_of_words(re.findall(r"[^\s'\"]+", part)) for part in re.split(r"&&|\|\||[;|&]", command)]
	return next((kind for kind in reversed(kinds) if kind != OTHER), OTHER)


def kind_of_words(words: list[str]) -> str:
	"""The kind of service that a single command runs."""
	names = [Path(word).name for word in words]
	if names[:1] == ["tmux"]:  # a tmux server keeps the command line by which it was started
		return OTHER
	bench = next((index for index, name in enumerate(names) if name in BENCH_COMMANDS), len(names))
	verb = next((word for word in words[bench:] if word in VERBS), "")
	if any(name.startswith("gunicorn") for name in names):
		return WEB
	if verb:
		return VERBS[verb]
	if {"socketio.js", "socketio", "frappe.realtime.server"} & set(names):
		return SOCKETIO
	if any(re.match(r"(redis|valkey)-server", name) for name in names):
		return REDIS
	return OTHER


def is_wrapper(words: Sequence[str]) -> bool:
	"""Whether a command is a shell or a similar program around the command that it names."""
	return bool(words) and Path(words[0]).name.lstrip("-") in WRAPPERS


def is_in_front_of(words: Sequence[str], below: Sequence[str]) -> bool:
	"""Whether the first command only stands in front of the second, its child: a shell, or a program that was given the
	other's whole command to run (`setsid -w`, `nice`, `sudo`, `timeout 600`, …). A script's interpreter is not in that."""
	if is_wrapper(words):
		return True
	for skipped in (0, 1, 2):  # the interpreter, and an option of it
		tail = list(below[skipped:])
		before = list(words[: len(words) - len(tail)])
		# A fork has the very command of its parent.
		if tail and before and list(words[-len(tail) :]) == tail and before != list(below[:skipped]):
			return True
	return False


def belongs_to(bench: Bench, command: str, directory: str) -> bool:
	"""Whether a process belongs to this bench: it runs in the bench, or its command names a path in the bench.

	Whole paths are compared, so that /home/frappe/bench does not get the processes of /home/frappe/bench-2. A process
	that runs in another bench belongs to that one, whatever its command names.
	"""
	if directory.startswith("/") and (around := bench_around(directory)):
		return around == bench.path
	paths = [directory, *re.findall(r"/[^\s'\"=,;:]+", command)]
	return any(is_inside(bench.path, path) for path in paths if path.startswith("/"))


def bench_around(directory: str) -> Path | None:
	"""The folder of the bench that a directory lies in; None where that is in none."""
	folder = Path(directory).resolve()
	return next((one for one in (folder, *folder.parents) if benches.is_bench(one)), None)


def is_inside(folder: Path, path: str) -> bool:
	"""Whether a path is the folder or lies in it, with symbolic links resolved."""
	return Path(path) == folder or Path(path).resolve().is_relative_to(folder)
