"""The faults themselves. Each function does one harm to a scene; mending undoes what would not pass by itself."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
from redis.exceptions import RedisError

from safe_restart.demo import app
from safe_restart.engine.core.errors import RestartError
from safe_restart.engine.processes import tree
from tests.support.cli import start_cli
from tests.support.restarts import worker_pids
from tests.support.waiting import wait_for

from .clock import Clock, compiler
from .scene import Scene

FOREIGN = "somebody"
LONG_FREEZE_SECONDS = 35  # longer than the lease
AWAY_SECONDS = 10
BROKEN_PROGRAM = "#!/bin/sh\nexit 3\n"


def helper(scene: Scene) -> psutil.Process | None:
	"""The process that carries the request out, if it still lives."""
	pid = scene.request.helper_pid if scene.request else None
	return next((process for process in scene.helpers() if process.pid == pid), None)


def signal_helper(number: int) -> Callable[[Scene], None]:
	def inject(scene: Scene) -> None:
		if found := helper(scene):
			found.send_signal(number)

	return inject


def kill_helper_twice(scene: Scene) -> None:
	first = helper(scene)
	if not first:
		return
	first.kill()
	deadline = time.monotonic() + 5
	while time.monotonic() < deadline and scene.is_open():
		second = helper(scene)
		if second and second.pid != first.pid:
			time.sleep(scene.dice.uniform(0, 0.3))
			with suppress(psutil.Error):
				second.kill()
			return
		time.sleep(0.01)


def kill_helper_and_guard(scene: Scene) -> None:
	if found := helper(scene):
		with suppress(psutil.Error):
			guard = found.parent()
			if guard in scene.helpers():
				guard.kill()
		with suppress(psutil.Error):
			found.kill()


def terminate_guard(scene: Scene) -> None:
	if found := helper(scene):
		with suppress(psutil.Error):
			guard = found.parent()
			if guard in scene.helpers():
				guard.terminate()


def freeze_helper(seconds: float) -> Callable[[Scene], None]:
	def inject(scene: Scene) -> None:
		if found := helper(scene):
			with suppress(psutil.Error):
				found.suspend()
				time.sleep(seconds)
				found.resume()

	return inject


def signal_cli(number: int) -> Callable[[Scene], None]:
	def inject(scene: Scene) -> None:
		scene.was_in_time = scene.was_in_time and scene.command.poll() is None
		scene.command.send_signal(number)

	return inject


def redis_service(scene: Scene):
	manager = scene.demo.fleet_reader().manager
	return manager, next(service for service in manager.services() if service.kind == "redis")


def redis_answers(scene: Scene) -> bool:
	with suppress(RedisError, OSError):
		return scene.demo.redis.ping()
	return False


def keep_nothing(scene: Scene) -> None:
	"""Let Redis write nothing to disk, so that a kill loses all."""
	scene.demo.redis.config_set("appendonly", "no")
	scene.demo.redis.config_set("save", "")
	config = scene.demo.path / "config/redis_queue.conf"
	text = config.read_text().replace("appendonly yes", "appendonly no").replace("save 60 1", 'save ""')
	config.write_text(text)
	shutil.rmtree(scene.demo.path / "config/appendonlydir", ignore_errors=True)
	for left in (scene.demo.path / "config").glob("*.[ar][od][fb]"):
		left.unlink()


def kill_redis(scene: Scene) -> None:
	with scene.load.paused():
		since = time.time()
		_, service = redis_service(scene)
		os.kill(service.pid, signal.SIGKILL)
		time.sleep(0.1)
		wait_for(lambda: redis_answers(scene), "supervisor brings Redis back")
		scene.redis_away = (since, time.time())


def stop_redis(scene: Scene) -> None:
	with scene.load.paused():
		since = time.time()
		manager, service = redis_service(scene)
		manager.call("stopProcess", service.name, True)
		time.sleep(AWAY_SECONDS)
		manager.call("startProcess", service.name, True)
		wait_for(lambda: redis_answers(scene), "Redis is started")
		scene.redis_away = (since, time.time())


def kill_worker(with_horse: bool) -> Callable[[Scene], None]:
	def inject(scene: Scene) -> None:
		horses = [psutil.Process(pid) for pid in living(scene.load.open_jobs().values())]
		busy = {horse.ppid() for horse in horses} & worker_pids(scene.demo)
		pids = sorted(busy if busy and (with_horse or scene.dice.random() < 0.7) else worker_pids(scene.demo))
		if not (pids := [pid for pid in pids if pid]):
			scene.was_in_time = False  # they are down for a migration
			return
		pid = scene.dice.choice(pids)
		family = tree.family(psutil.Process(pid))
		victims = family if with_horse else family[:1]
		jobs = scene.load.open_jobs()
		tree.kill(victims)
		killed = {process.pid for process in victims}
		scene.killed_jobs |= {name for name, horse in jobs.items() if horse in killed}

	return inject


def kill_horse(scene: Scene) -> None:
	workers = worker_pids(scene.demo)
	for name, pid in sorted(scene.load.open_jobs().items()):
		with suppress(psutil.Error):
			horse = psutil.Process(pid)
			if horse.ppid() in workers:
				horse.kill()
				scene.killed_jobs.add(name)
				scene.failed_jobs.add(name)
				return
	scene.was_in_time = False


def living(pids) -> list[int]:
	return [pid for pid in pids if tree.get(pid)]


def break_program(scene: Scene) -> None:
	program = scene.demo.path / "env/bin/bench"
	shutil.copy2(program, program.with_suffix(".good"))
	program.write_text(BROKEN_PROGRAM)


def mend_program(scene: Scene) -> None:
	program = scene.demo.path / "env/bin/bench"
	shutil.copy2(program.with_suffix(".good"), program)
	manager = scene.demo.fleet_reader().manager
	for service in manager.services():
		if not service.is_up:
			manager.start(service)


def site_config(scene: Scene):
	return scene.demo.path / f"sites/{app.SITE}/site_config.json"


def break_web(scene: Scene) -> None:
	config = site_config(scene)
	shutil.copy2(config, config.with_suffix(".good"))
	config.write_text("{")


def mend_web(scene: Scene) -> None:
	shutil.move(site_config(scene).with_suffix(".good"), site_config(scene))


def ask_for_another(scene: Scene) -> None:
	second = start_cli(scene.demo)
	out, err = second.communicate(timeout=90)
	scene.output.append(f"$ safe-restart   # at the same time\n{out}{err}(exit code {second.returncode})")
	scene.second_exit_code = second.returncode
	assert "Traceback" not in out + err, f"a traceback on the second command line:\n{out}{err}"


def suspend(scene: Scene) -> None:
	"""As RQ's own suspend() does: whoever holds it, and without an expiry."""
	scene.demo.redis.set("rq:suspended", FOREIGN)


def remove_suspension(scene: Scene) -> None:
	scene.demo.redis.delete("rq:suspended")


def suspend_first(scene: Scene) -> None:
	if scene.scenario.is_foreign_first:
		suspend(scene)


def suspend_then(scene: Scene) -> None:
	if not scene.scenario.is_foreign_first:
		suspend(scene)


def migration(scene: Scene, **behaviour) -> None:
	(scene.demo.path / "migrate.json").write_text(json.dumps(behaviour))


def kill_supervisord(scene: Scene) -> None:
	"""And start it again, as an init system does. What it ran goes on beside what it runs then."""
	scene.demo.supervisord.kill()
	scene.demo.supervisord.wait()
	time.sleep(scene.dice.uniform(0.5, 8))
	scene.demo.launch()
	wait_for(lambda: supervisord_answers(scene), "supervisord answers")


def supervisord_answers(scene: Scene) -> bool:
	with suppress(RestartError):
		return bool(scene.demo.fleet_reader().manager.services())
	return False


def give_small_disk(scene: Scene) -> None:
	"""A file system of its own for the journal, in a mount namespace that this run has for itself."""
	scene.demo.bench.state_path.mkdir(mode=0o700, exist_ok=True)
	done = subprocess.run(
		["mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", scene.demo.bench.state_path],
		capture_output=True,
		text=True,
	)
	assert done.returncode == 0, f"no file system could be mounted, which this fault needs: {done.stderr}"


def fill_disk(scene: Scene) -> None:
	"""To the last byte, and for some seconds or until somebody makes room."""
	handle = os.open(filler(scene), os.O_WRONLY | os.O_CREAT, 0o600)
	for size in (65536, 4096, 1):
		with suppress(OSError):
			while True:
				os.write(handle, b"x" * size)
	os.close(handle)
	scene.stays_full = scene.dice.random() < 0.5
	if not scene.stays_full:
		time.sleep(scene.dice.uniform(0.2, 6))
		make_room(scene)


def make_room(scene: Scene) -> None:
	filler(scene).unlink(missing_ok=True)


def filler(scene: Scene) -> Path:
	return scene.demo.bench.state_path / "filler"


def give_clock(scene: Scene) -> None:
	assert compiler(), "this fault needs a C compiler, for a clock that can be set"
	scene.clock = Clock(scene.demo.path / "config")
	os.environ.update(scene.clock.environment)


def set_clock(scene: Scene) -> None:
	scene.clock.jump(scene.dice.choice((-3600, 3600)))


def nothing(scene: Scene) -> None:
	"""The harm was done before, or there is none."""


BEFORE: dict[str, Callable[[Scene], None]] = {
	"redis-kill-no-data": keep_nothing,
	"foreign-suspension": suspend_first,
	"disk-full": give_small_disk,
	"clock-jump": give_clock,
	"migration-fails": lambda scene: migration(scene, fail=True, lines=2),
	"migration-hangs": lambda scene: migration(scene, seconds=120, silent=True),
	"migration-ignores-term": lambda scene: migration(scene, seconds=120, silent=True, ignore_term=True),
}
INJECT: dict[str, Callable[[Scene], None]] = {
	"none": nothing,
	"helper-kill": signal_helper(signal.SIGKILL),
	"helper-kill-twice": kill_helper_twice,
	"helper-and-guard-kill": kill_helper_and_guard,
	"helper-term": signal_helper(signal.SIGTERM),
	"guard-term": terminate_guard,
	"helper-freeze-2s": freeze_helper(2),
	"helper-freeze-35s": freeze_helper(LONG_FREEZE_SECONDS),
	"cli-kill": signal_cli(signal.SIGKILL),
	"cli-int": signal_cli(signal.SIGINT),
	"cli-hup": signal_cli(signal.SIGHUP),
	"redis-kill": kill_redis,
	"redis-kill-no-data": kill_redis,
	"redis-away-10s": stop_redis,
	"worker-kill": kill_worker(with_horse=False),
	"worker-and-horse-kill": kill_worker(with_horse=True),
	"horse-kill": kill_horse,
	"worker-fatal": break_program,
	"web-broken": break_web,
	"two-at-once": ask_for_another,
	"foreign-suspension": suspend_then,
	"suspension-deleted": remove_suspension,
	"supervisord-kill": kill_supervisord,
	"disk-full": fill_disk,
	"clock-jump": set_clock,
	"migration-fails": nothing,
	"migration-hangs": nothing,
	"migration-ignores-term": nothing,
}
MEND: dict[str, Callable[[Scene], None]] = {
	"worker-fatal": mend_program,
	"web-broken": mend_web,
	"disk-full": make_room,
}
