"""The command line, as a person or a script calls it."""

import json
import signal
import subprocess
import time
from dataclasses import dataclass

from safe_restart.demo.bench import DemoBench


@dataclass
class Cli:
	"""What a finished command line said."""

	exit_code: int
	out: str
	err: str
	seconds: float

	@property
	def json(self) -> dict:
		return json.loads(self.out)

	@property
	def text(self) -> str:
		return self.out + self.err


def start_cli(demo: DemoBench, *words: str, **where: str) -> subprocess.Popen:
	return subprocess.Popen(
		demo.command(*words, **where),
		stdin=subprocess.DEVNULL,
		stdout=subprocess.PIPE,
		stderr=subprocess.PIPE,
		text=True,
		preexec_fn=hear_signals,
	)


def hear_signals() -> None:
	"""Tests in the background of a shell ignore SIGINT, under nohup SIGHUP, and their children would inherit that."""
	for number in (signal.SIGINT, signal.SIGHUP):
		signal.signal(number, signal.SIG_DFL)


def cli(demo: DemoBench, *words: str, timeout_seconds: float = 180, **where: str) -> Cli:
	"""Run the command line to its end; a traceback is never an answer."""
	since = time.monotonic()
	process = start_cli(demo, *words, **where)
	out, err = process.communicate(timeout=timeout_seconds)
	assert "Traceback" not in out + err, out + err
	return Cli(process.returncode, out, err, time.monotonic() - since)
