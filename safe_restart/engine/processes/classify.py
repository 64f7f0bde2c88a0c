"""What a command line runs, and whether it belongs to a bench."""

import re
from collections.abc import Sequence
from pathlib import Path

from ..core import bench as benches
from ..core.bench import Bench

WEB, WORKERS, SCHEDULER, SOCKETIO, REDIS, OTHER = "web", "workers", "scheduler", "socketio", "redis", "other"
KINDS = (WEB, WORKERS, SCHEDULER, SOCKETIO, REDIS)

# What bench's commands are called by, and those of them that are services: `celery worker` is none of ours.
BENCH_COMMANDS = ("bench", "frappe", "frappe.utils.bench_helper", "bench_helper.py")
VERBS = {"serve": WEB, "worker": WORKERS, "worker-pool": WORKERS, "schedule": SCHEDULER}

# Their commands name what they start, and they are no service themselves.
WRAPPERS = ("sh", "dash", "bash", "zsh", "ash", "ksh", "fish", "tmux")


def kind_of(command: str) -> str:
	"""Which service a command line runs, from the commands that bench writes (FACTS 2) and their relatives.

	A shell in front may go somewhere first: the last command that is known counts.
	"""
	kinds = [kind_of_words(re.findall(r"[^\s'\"]+", part)) for part in re.split(r"&&|\|\||[;|&]", command)]
	return next((kind for kind in reversed(kinds) if kind != OTHER), OTHER)


def kind_of_words(words: list[str]) -> str:
	names = [Path(word).name for word in words]
	if names[:1] == ["tmux"]:  # its command line names what it was started with
		return OTHER
	bench = next((place for place, name in enumerate(names) if name in BENCH_COMMANDS), len(names))
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
	"""Whether a command is a shell or the like, around what it names."""
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
	"""Whether a program is this bench's: it runs in the bench, or its command names a path inside.

	Paths are compared whole, so that /home/frappe/bench does not take the programs of /home/frappe/bench-2. What runs in
	another bench is that one's, whatever it names.
	"""
	if directory.startswith("/") and (home := home_of(directory)):
		return home == bench.path
	paths = [directory, *re.findall(r"/[^\s'\"=,;:]+", command)]
	return any(is_inside(bench.path, path) for path in paths if path.startswith("/"))


def home_of(directory: str) -> Path | None:
	"""The bench that a folder lies in, if any."""
	folder = Path(directory).resolve()
	return next((one for one in (folder, *folder.parents) if benches.is_bench(one)), None)


def is_inside(folder: Path, path: str) -> bool:
	return Path(path) == folder or Path(path).resolve().is_relative_to(folder)
