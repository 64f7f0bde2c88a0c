"""One run while it goes on: the bench, the command line that restarts it, its journal, and what was done to it."""

import sqlite3
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

import psutil
import redis

from safe_restart.demo.bench import DemoBench
from safe_restart.engine.core.errors import RestartError
from safe_restart.engine.processes import tree
from safe_restart.engine.rq.suspension import TOKEN_PREFIX
from safe_restart.engine.state.journal import Journal
from safe_restart.engine.state.records import Request
from safe_restart.engine.web import health as web_health
from tests.support.cli import Cli, cli, start_cli

from .clock import Clock
from .load import Load
from .scenario import Scenario

POLL_SECONDS = 0.004
STEP_TIMEOUT_SECONDS = 60
SETTLE_TIMEOUT_SECONDS = 150  # twice START_TIMEOUT_SECONDS, which two steps of one request may both use up


@dataclass
class Scene:
	"""One run while it goes on.

	before, running_before: pids of the workers, and jobs, when the restart was asked for
	killed_jobs: interrupted by the fault itself; failed_jobs: of those, the ones whose own worker fails them
	redis_away: from when to when, in seconds since the epoch
	"""

	scenario: Scenario
	demo: DemoBench
	load: Load
	dice: Random
	before: set[int] = field(default_factory=set)
	running_before: set[str] = field(default_factory=set)
	command: subprocess.Popen | None = None
	output: list[str] = field(default_factory=list)
	typed: list[str] = field(default_factory=list)
	exit_code: int | None = None
	reached: str = ""
	injected_at: float = 0
	was_in_time: bool = False
	killed_jobs: set[str] = field(default_factory=set)
	failed_jobs: set[str] = field(default_factory=set)
	redis_away: tuple[float, float] | None = None
	second_exit_code: int | None = None
	foreign_is_lifted: bool = False
	stays_full: bool = False
	clock: Clock | None = None
	seconds_to_work: float | None = None

	@property
	def journal(self) -> Journal:
		return Journal(self.demo.bench)

	@property
	def request(self) -> Request | None:
		"""The one that the fault met: the first of this bench."""
		found = self.journal.requests()
		return found[-1] if found else None

	def start(self) -> None:
		self.command = start_cli(self.demo, *self.scenario.words)
		self.wait_for_step(self.scenario.step)
		time.sleep(self.scenario.delay)
		self.injected_at = time.time()
		self.reached, self.was_in_time = self.where()

	def wait_for_step(self, name: str) -> None:
		"""Until that step is the current one, or the request has ended without it."""
		deadline = time.monotonic() + STEP_TIMEOUT_SECONDS
		while time.monotonic() < deadline:
			if self.command.poll() is not None and not self.is_open():
				return
			if any(found == name for found, _ in self.steps()):
				return
			time.sleep(POLL_SECONDS)
		raise AssertionError(f"step {name} was not reached in {STEP_TIMEOUT_SECONDS} s: {self.steps()}")

	def where(self) -> tuple[str, bool]:
		"""The step that is current now, and whether the request is still open."""
		steps = self.steps()
		is_open = self.is_open()
		return (steps[-1][0] if steps and is_open else "(ended)"), is_open

	def steps(self) -> list[tuple[str, str]]:
		"""Name and status, read without the journal's own code: a look every few milliseconds must not lock it."""
		with suppress(sqlite3.Error):
			db = sqlite3.connect(f"file:{self.demo.bench.state_path}/journal.sqlite3?mode=ro", uri=True)
			try:
				return db.execute("SELECT name, status FROM steps ORDER BY rowid").fetchall()
			finally:
				db.close()
		return []

	def is_open(self) -> bool:
		request = self.request
		return request is None or request.is_open

	def finish(self) -> None:
		"""Wait for the end of the command line."""
		out, err = self.command.communicate(timeout=SETTLE_TIMEOUT_SECONDS)
		self.output.append(f"$ safe-restart {' '.join(self.scenario.words)}\n{out}{err}")
		self.exit_code = self.command.returncode
		assert "Traceback" not in out + err, f"a traceback on the command line:\n{out}{err}"

	def type(self, *words: str) -> Cli:
		"""What a person types now."""
		done = cli(self.demo, *words, timeout_seconds=SETTLE_TIMEOUT_SECONDS)
		self.typed.append(" ".join(words) or "safe-restart")
		self.output.append(f"$ safe-restart {' '.join(words)}\n{done.text}(exit code {done.exit_code})")
		return done

	def helpers(self) -> list[psutil.Process]:
		"""Guards and helpers of this bench that live."""
		found = []
		for process in psutil.process_iter():
			with suppress(psutil.Error):
				words = process.cmdline()
				if words[1:4] == ["-m", "safe_restart.helper", str(self.demo.path)]:
					found.append(process)
		return [process for process in found if tree.is_alive(process)]

	def settle(self) -> None:
		"""Until no request is open, or nobody is left who would end it."""
		deadline = time.monotonic() + SETTLE_TIMEOUT_SECONDS
		while open_requests := self.journal.open_requests():
			if not self.helpers() and all(
				r.helper_pid is None or self.journal.is_abandoned(r) for r in open_requests
			):
				return
			assert time.monotonic() < deadline, f"requests stay open: {[r.id for r in open_requests]}"
			time.sleep(0.05)

	def suspended_by(self) -> str | None:
		held = self.demo.redis.get("rq:suspended")
		return held.decode() if held else None

	def is_suspended_by_us(self) -> bool:
		return (self.suspended_by() or "").startswith(TOKEN_PREFIX)

	def works(self) -> bool:
		"""Whether workers, web and all else are up and no suspension of ours is left."""
		with suppress(redis.RedisError, OSError, RestartError):
			if self.is_suspended_by_us():
				return False
			fleet_reader = self.demo.fleet_reader()
			services = fleet_reader.manager.services()
			wanted = sum(workers.count * (workers.pool_size or 1) for workers in self.demo.workers)
			return (
				all(service.state == "running" for service in services)
				and len(fleet_reader.read().workers) == wanted
				and all(
					health.is_ok for health in web_health.health(self.demo.bench).values() if self.demo.web
				)
			)
		return False

	def wait_until_works(self, since: float, timeout_seconds: float) -> bool:
		"""Wait until the bench works, and remember how long that took since then; False where it does not."""
		deadline = time.monotonic() + timeout_seconds
		while not self.works():
			if time.monotonic() > deadline:
				return False
			time.sleep(0.05)
		self.seconds_to_work = time.time() - since
		return True
