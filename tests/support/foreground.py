"""A bench in miniature in the foreground: a Procfile as bench writes it, and a real honcho that reads it."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass

from safe_restart.demo.bench import DemoBench, Workers
from safe_restart.demo.parts import die_with_parent, redis_server
from safe_restart.engine.processes.tree import inside
from safe_restart.engine.rq.wakeup_job import PREFIX

from .health import assert_bench_is_healthy
from .restarts import worker_pids

END_SECONDS = 20


@dataclass
class ForegroundBench(DemoBench):
	"""What `bench start` runs: honcho, with Redis, web, scheduler and workers (bench/config/templates/Procfile)."""

	# As bench has it with one worker a queue, but for a second one that shares its queue with the first
	workers: tuple[Workers, ...] = (Workers("short,default", 2), Workers("long", 1))

	def write_manager(self) -> None:
		lines = {f"worker_{name}": command for name, command in self.worker_commands().items()}
		lines["redis_queue"] = f"{redis_server()} config/redis_queue.conf"
		lines["schedule"] = "env/bin/bench schedule"
		if self.web:
			gunicorn = f"{sys.executable} -m gunicorn -b 127.0.0.1:{self.web_port} {self.gunicorn_options}"
			lines["web"] = f"{gunicorn} safe_restart.demo.wsgi:application"
		text = "".join(f"{name}: {command}\n" for name, command in lines.items())
		(self.path / "Procfile").write_text(text)

	def worker_commands(self) -> dict[str, str]:
		return {
			f"{number}_{copy}": f"env/bin/bench worker --queue {workers.queues} 1>> logs/worker.log 2>> logs/worker.error.log"
			for number, workers in enumerate(self.workers)
			for copy in range(workers.count)
		}

	@property
	def program(self) -> list[str]:
		return [sys.executable, "-m", "honcho", "start"]

	def launch(self) -> None:
		with open(self.path / "logs/terminal.log", "ab") as log:
			self.supervisord = subprocess.Popen(
				self.program,
				cwd=self.path,
				env={**os.environ, **self.environment, "PYTHONUNBUFFERED": "true"},
				stdin=subprocess.DEVNULL,
				stdout=log,
				stderr=log,
				start_new_session=True,
				preexec_fn=die_with_parent if self.dies_with_us else None,
			)

	@property
	def said(self) -> str:
		"""What stands on its terminal."""
		return (self.path / "logs/terminal.log").read_text(errors="replace")

	def press_ctrl_c(self) -> None:
		"""As a terminal does it, and wait for its end."""
		os.killpg(self.supervisord.pid, signal.SIGINT)
		self.supervisord.wait(END_SECONDS)


class OvermindBench(ForegroundBench):
	"""The same Procfile in the hands of a real overmind."""

	@property
	def program(self) -> list[str]:
		return ["overmind", "start"]

	@property
	def manager_pids(self) -> set[int]:
		"""And tmux, in which overmind has them, and which belongs to nobody."""
		tmux = {process.pid for process in inside(self.path) if process.name().startswith("tmux")}
		return super().manager_pids | tmux


def assert_handled_gently(bench: ForegroundBench, jobs: list[str] = (), pids: set[int] | None = None) -> None:
	"""What must be true of a bench in the foreground besides: it runs, no wake-up job is left, and where `pids` are given they
	are its workers still."""
	assert bench.supervisord.poll() is None, bench.said
	assert_bench_is_healthy(bench, jobs)
	assert [key for key in bench.redis.keys("*") if PREFIX.encode() in key] == []
	if pids is not None:
		assert worker_pids(bench) == pids
		assert "stopped" not in bench.said


def end_of(process: subprocess.Popen) -> tuple[int, str]:
	out, err = process.communicate(timeout=120)
	assert "Traceback" not in out + err, out + err
	return process.returncode, out + err
