"""Builds, starts and ends a bench in miniature in a temporary folder."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from redis import Redis

from ..engine.core import bench as benches
from ..engine.core.environment import python_path
from ..engine.core.errors import RestartError
from ..engine.managers import detect
from ..engine.processes.tree import inside, kill
from ..engine.rq import snapshot
from ..engine.rq.snapshot import Worker
from ..engine.web import health as web_health
from ..engine.workers.fleet import FleetReader
from . import app
from .jobs import enqueue
from .parts import die_with_parent, free_port, redis_server
from .templates import PROGRAM, REDIS_CONFIG, SUPERVISORD_CONFIG, WORKER_OPTIONS

START_TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Workers:
	"""A worker program of supervisor: its queues, number of processes, grace, pool size (0 for none) and
	command."""

	queues: str = "short,default,long"
	count: int = 3
	grace_seconds: int = 360
	pool_size: int = 0
	command: str = "{bench} {verb} --queue {queues}"


@dataclass
class DemoBench:
	"""A bench in miniature. A context manager: it starts the bench, and ends it without leaving a process.

	dies_with_us: the bench ends when this process does
	web: whether it has a web
	queue_url: the Redis of its queues; empty for one of its own
	gunicorn_options: THREADED for browsers, which open connections before they use them and would block a
	    single thread
	has_setup_web: `setup web` is run once it is up
	"""

	boot_seconds: float = 1.0
	workers: tuple[Workers, ...] = (Workers(),)
	path: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="safe-restart-bench-")))
	dies_with_us: bool = True
	web: bool = True
	queue_url: str = ""
	gunicorn_options: str = "-w 1 --preload -t 120"
	has_setup_web: bool = False

	def __post_init__(self) -> None:
		self.path = self.path.resolve()
		self.redis_port, self.web_port = free_port(), free_port()
		self.queue_url = self.queue_url or f"redis://127.0.0.1:{self.redis_port}"
		self.supervisord: subprocess.Popen | None = None

	def __enter__(self) -> "DemoBench":
		try:
			self.write()
			self.start()
			if self.has_setup_web:
				self.setup_web()
		except BaseException:
			self.end()
			raise
		return self

	def __exit__(self, *_: object) -> None:
		self.end()

	@property
	def bench(self) -> benches.Bench:
		return benches.load(self.path)

	@property
	def redis(self) -> Redis:
		return Redis.from_url(self.queue_url)

	@property
	def all_workers(self) -> int:
		"""The number of workers when all are up."""
		return sum(workers.count * (workers.pool_size or 1) for workers in self.workers)

	def lives(self, worker: Worker) -> bool:
		"""Whether the process of a registered worker exists."""
		return psutil.pid_exists(worker.pid)

	@property
	def manager_pids(self) -> set[int]:
		"""The pids of the process managers: every process of the bench descends from one of them."""
		return {self.supervisord.pid} if self.supervisord else set()

	@property
	def supervisor_socket(self) -> Path:
		return self.path / "config" / "supervisor" / "supervisord.sock"

	def fleet_reader(self) -> FleetReader:
		bench = self.bench
		return FleetReader(bench, detect.find_manager(bench), snapshot.RqReader(bench))

	def write(self) -> None:
		"""Write the bench to disk, with the same names as bench uses."""
		for folder in (f"sites/{app.SITE}", "apps", "env/bin", "config", "logs"):
			(self.path / folder).mkdir(parents=True, exist_ok=True)
		config = {
			"bench_id": self.path.name,
			"redis_queue": self.queue_url,
			"webserver_port": self.web_port,
			"workers": {"reports": {"timeout": 3000}},
		}
		(self.path / "sites/common_site_config.json").write_text(json.dumps(config, indent=1))
		(self.path / f"sites/{app.SITE}/site_config.json").write_text("{}")
		(self.path / "sites/apps.txt").write_text("demo\n")
		script = (
			f"#!{sys.executable}\nimport os, sys\n"
			f"os.environ.setdefault('SAFE_RESTART_DEMO_BENCH', {str(self.path)!r})\n"
			"from safe_restart.demo.app import main\nmain(sys.argv[1:])\n"
		)
		(self.path / "env/bin/bench").write_text(script)
		(self.path / "env/bin/bench").chmod(0o755)
		(self.path / "config/redis_queue.conf").write_text(
			REDIS_CONFIG.format(path=self.path, redis_port=self.redis_port)
		)
		self.write_manager()

	@property
	def environment(self) -> dict[str, str]:
		"""The environment variables of all programs of the bench."""
		return {
			"PYTHONPATH": python_path(),
			"SAFE_RESTART_DEMO_BENCH": str(self.path),
			"SAFE_RESTART_DEMO_BOOT": str(self.boot_seconds),
		}

	def write_manager(self) -> None:
		"""Write the configuration of the process manager."""
		(self.path / "config/supervisor").mkdir(exist_ok=True)
		(self.path / "config/supervisor/supervisord.conf").write_text(
			SUPERVISORD_CONFIG.format(
				path=self.path,
				name=self.path.name,
				environment=",".join(f'{name}="{value}"' for name, value in self.environment.items()),
			)
		)
		(self.path / "config/supervisor.conf").write_text("\n".join(self.programs()))

	def programs(self) -> list[str]:
		"""The sections of supervisor's configuration: the programs, then the groups."""
		name = self.path.name
		groups: dict[str, list[str]] = {}
		programs: list[str] = []

		def add(
			group: str, label: str, command: str, grace: int, more: str = "", restarts: bool = True
		) -> None:
			groups.setdefault(f"{name}-{group}", []).append(f"{name}-{label}")
			programs.append(
				PROGRAM.format(
					name=f"{name}-{label}",
					command=command,
					priority=1 if group == "redis" else 4,
					autorestart="autorestart=true" if restarts else "",
					path=self.path,
					log=label,
					grace=grace,
					directory=self.path / "sites" if group == "web" else self.path,
					more=more,
				)
			)

		if self.queue_url.endswith(f":{self.redis_port}"):
			add("redis", "redis-queue", f"{redis_server()} {self.path}/config/redis_queue.conf", 10)
		if self.web:
			gunicorn = f"{sys.executable} -m gunicorn -b 127.0.0.1:{self.web_port} {self.gunicorn_options}"
			add("web", "frappe-web", f"{gunicorn} safe_restart.demo.wsgi:application", 40)
		bench = f"{self.path}/env/bin/bench"
		add("workers", "frappe-schedule", f"{bench} schedule", 10, restarts=False)
		for number, workers in enumerate(self.workers):
			verb = f"worker-pool --num-workers {workers.pool_size}" if workers.pool_size else "worker"
			add(
				"workers",
				f"frappe-{number}-worker",
				workers.command.format(path=self.path, bench=bench, verb=verb, queues=workers.queues),
				workers.grace_seconds,
				WORKER_OPTIONS.format(count=workers.count),
			)
		return programs + [
			f"[group:{group}]\nprograms={','.join(labels)}\n" for group, labels in groups.items()
		]

	def launch(self) -> None:
		"""Start supervisord, which starts everything else, and do not wait."""
		self.supervisord = subprocess.Popen(
			[
				sys.executable,
				"-m",
				"supervisor.supervisord",
				"-c",
				str(self.path / "config/supervisor/supervisord.conf"),
			],
			stdin=subprocess.DEVNULL,
			start_new_session=True,
			preexec_fn=die_with_parent if self.dies_with_us else None,
		)

	def start(self) -> None:
		"""Start supervisord and wait until all workers have registered and the web answers."""
		self.launch()
		deadline = time.monotonic() + START_TIMEOUT_SECONDS
		while not self.is_up():
			has_ended = self.supervisord is not None and self.supervisord.poll() is not None
			if has_ended or time.monotonic() > deadline:
				raise RestartError(f"The demo bench did not start; its logs are in {self.path}/logs.")
			time.sleep(0.05)

	def command(self, *words: str) -> list[str]:
		"""The command `safe-restart` for this bench, with these words."""
		return [sys.executable, "-m", "safe_restart", "--bench", str(self.path), *words]

	def setup_web(self) -> None:
		"""Run `setup web` as a person would. Raises subprocess.CalledProcessError."""
		words = self.command("setup", "web", "--yes")
		environment = {**os.environ, "PYTHONPATH": python_path()}
		subprocess.run(words, check=True, env=environment, stdin=subprocess.DEVNULL, capture_output=True)

	def is_up(self) -> bool:
		"""Whether all workers have registered and are idle, and the web answers."""
		with suppress(Exception):
			fleet = self.fleet_reader().read()
			serving = not self.web or web_health.ask(self.bench, app.SITE).is_ok
			return (
				len(fleet.workers) == self.all_workers
				and serving
				and all(w.state == "idle" for w in fleet.workers)
			)
		return False

	def end(self) -> None:
		"""Stop supervisord with all that it runs, kill every process that is left in the bench's folder, and
		remove the folder."""
		if self.supervisord and self.supervisord.poll() is None:
			children = [process for process in inside(self.path) if process.pid != os.getpid()]
			self.supervisord.send_signal(signal.SIGTERM)
			kill(children)
			with suppress(subprocess.TimeoutExpired):
				self.supervisord.wait(10)
			if self.supervisord.poll() is None:
				self.supervisord.kill()
				self.supervisord.wait()
		kill(process for process in inside(self.path) if process.pid != os.getpid())
		shutil.rmtree(self.path, ignore_errors=True)

	def enqueue(self, seconds: float, name: str, queue: str = "default", **kwargs: Any) -> str:
		"""Queue one job as Frappe would; returns its id."""
		return enqueue(self.bench, self.redis, seconds, name, queue, **kwargs)

	def ledger(self) -> list[dict]:
		"""What the jobs wrote into the ledger, in order."""
		path = self.path / "ledger.jsonl"
		return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

	def runs(self, what: str = "end") -> Counter:
		"""How often each job began or ended, by name."""
		return Counter(entry["job"] for entry in self.ledger() if entry["what"] == what)
