"""The tiny external process that carries out one request, and exits.

It is the only executor: the command line and the desk write a request into the journal, call `spawn`, and follow. It
is started in a session of its own, so neither a closed terminal nor a stopped web service takes it along.

    python -m safe_restart.helper BENCH REQUEST
"""

import os
import signal
import subprocess
import sys
from pathlib import Path


def spawn(bench_path: Path, request_id: str) -> subprocess.Popen:
	"""Start the helper for a request that stands in the journal, detached from us.

	Raises OSError where no process can be started.
	"""
	package_root = str(Path(__file__).resolve().parents[1])
	path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
	with open(bench_path / "sites" / ".safe-restart" / "helper.log", "ab", opener=open_private) as log:
		return subprocess.Popen(
			[sys.executable, "-m", "safe_restart.helper", str(bench_path), request_id],
			cwd="/",
			env={**os.environ, "PYTHONPATH": path},
			stdin=subprocess.DEVNULL,
			stdout=log,
			stderr=log,
			start_new_session=True,
		)


def open_private(path: str, flags: int) -> int:
	return os.open(path, flags, 0o600)


def main(arguments: list[str]) -> int:
	bench_path, request_id = arguments
	os.environ.pop("PYTHONPATH", None)
	for number in (signal.SIGHUP, signal.SIGINT):  # a closed terminal is no reason to stop half way
		signal.signal(number, signal.SIG_IGN)

	from .engine import bench, execute
	from .engine.errors import RestartError

	signal.signal(signal.SIGTERM, lambda number, frame: execute.stop_requested.set())
	try:
		return execute.execute(bench.load(bench_path), request_id)
	except RestartError as error:
		print(error, file=sys.stderr)
		return error.exit_code


if __name__ == "__main__":
	sys.exit(main(sys.argv[1:]))
