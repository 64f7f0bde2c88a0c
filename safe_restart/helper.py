"""The tiny external process that carries out one request, and exits.

Nothing else carries requests out: the command line and the desk write a request into the journal, call
`start_helper` and follow the journal. The helper runs in a session of its own, so that a closed terminal or a
stopped web service does not end it.

    python -m safe_restart.helper BENCH REQUEST

With `recover` in the place of a request the helper ends what a dead helper left.
"""

import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

RECOVER = "recover"
MAX_RECOVERIES = 3  # so that a helper that is killed again and again is not started for ever
RECOVERY_PAUSE_SECONDS = 0.5


def spawn(bench_path: Path, request_id: str) -> subprocess.Popen:
	"""Start the helper, detached from this process.

	Where this process runs in a systemd unit, whose stop would end the helper too, the helper gets a scope of
	its own. Raises OSError where no process can be started.
	"""
	from .engine.core import bench, environment

	words: list[str] = []
	variables: Mapping[str, str] = os.environ
	if environment.runs_in_a_unit():
		from .engine.managers.systemd.scope import (
			way_out,
		)  # takes a tenth of a second, and few benches need it

		words, variables = way_out(bench.load(bench_path))
	with open(bench_path / "sites" / ".safe-restart" / "helper.log", "ab", opener=open_private) as log:
		return subprocess.Popen(
			[*words, sys.executable, "-m", "safe_restart.helper", str(bench_path), request_id],
			cwd="/",
			env={**variables, "PYTHONPATH": environment.python_path()},
			stdin=subprocess.DEVNULL,
			stdout=subprocess.PIPE,  # how the request ended, should the journal's disk be full
			stderr=log,
			start_new_session=True,
		)


def start_helper(bench_path: Path, request_id: str, write: Callable[[], object]) -> subprocess.Popen:
	"""Start the helper for a request, then write the request into the journal, where the helper waits for it.

	In this order the journal never has a request without a helper, even if this process is killed in between.
	Raises OSError where no process can be started, and what `write` raises.
	"""
	helper = spawn(bench_path, request_id)
	write()
	return helper


def open_private(path: str, flags: int) -> int:
	"""An opener for `open`, for files that only their owner may read."""
	return os.open(path, flags, 0o600)


def main(arguments: list[str]) -> int:
	"""Run a child that does the work, and guard it: if it is killed, start another one that recovers, within
	a second."""
	os.environ.pop("PYTHONPATH", None)
	for number in (signal.SIGHUP, signal.SIGINT):  # a closed terminal is no reason to stop half way
		signal.signal(number, signal.SIG_IGN)
	request_id = arguments[1]
	for _ in range(1 + MAX_RECOVERIES):
		status = guard(arguments[0], request_id)
		if os.WIFEXITED(status):
			return os.WEXITSTATUS(status)
		request_id = RECOVER
		time.sleep(RECOVERY_PAUSE_SECONDS)
	return 1


def guard(bench_path: str, request_id: str) -> int:
	"""Run one executor in a child and wait for its end; returns its wait status.

	The guard itself stays tiny.
	"""
	child = os.fork()
	if child == 0:
		os._exit(carry_out(bench_path, request_id))
	signal.signal(signal.SIGTERM, lambda number, frame: os.kill(child, signal.SIGTERM))
	return os.waitpid(child, 0)[1]


def carry_out(bench_path: str, request_id: str) -> int:
	"""Carry out the request, or recover, in this process; returns the exit code and never raises."""
	from .engine.core import bench
	from .engine.core.errors import RestartError
	from .engine.restart import executor

	signal.signal(signal.SIGTERM, lambda number, frame: executor.stop_requested.set())
	try:
		found = bench.load(bench_path)
		return executor.recover(found) if request_id == RECOVER else executor.execute(found, request_id)
	except RestartError as error:
		with suppress(OSError):  # the log may be on a full disk
			print(error, file=sys.stderr, flush=True)
		return error.exit_code
	except BaseException:
		with suppress(OSError):
			traceback.print_exc()
		return 1


if __name__ == "__main__":
	sys.exit(main(sys.argv[1:]))
