"""One run, in a process of its own: `python -m tests.faults.one SUB_SEED FOLDER`; its last line is its result as JSON."""

import ctypes
import json
import shutil
import signal
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from safe_restart.demo.bench import DemoBench, Workers
from safe_restart.engine.processes import tree
from tests.support.benches import BOOT_SECONDS
from tests.support.restarts import worker_pids
from tests.support.waiting import wait_for

from . import judge
from .inject import BEFORE, FOREIGN, INJECT, MEND, migration, site_config
from .load import Load
from .scenario import Scenario, scenario
from .scene import Scene

CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 1 << 18  # sched.h, sys/mount.h
BOUND_SECONDS = 130  # two waits of START_TIMEOUT_SECONDS, and some
RUN_TIMEOUT_SECONDS = 400
PENDING_SECONDS = 8
POOLS = (Workers(count=2, pool_size=2),)
NOT_KEPT = ("redis-kill-no-data",)  # RQ's workers register once, so one that Redis forgot stays unknown
DOCTORED = ("supervisord-kill",)  # what is left has no keeper until somebody types what doctor says
MENDS = 3  # at most, one after the other


@dataclass(frozen=True)
class Result:
	"""What one run came to; `seconds` from the fault until the bench worked again, None where it never did."""

	sub_seed: int
	strategy: str
	step: str
	fault: str
	exit_code: int | None
	seconds: float | None
	typed: tuple[str, ...]
	problem: str
	stop_safety: str
	took: float


def run(chosen: Scenario, folder: Path) -> Result:
	"""Build a bench, restart it, harm it, judge it; keeps the evidence in `folder` where something is not right."""
	began, problem, stop_safety = time.monotonic(), "", ""
	workers = POOLS if chosen.has_pool else (Workers(),)
	with DemoBench(boot_seconds=BOOT_SECONDS, web=chosen.has_web, workers=workers) as demo:
		scene = Scene(chosen, demo, Load(demo, chosen), Random(chosen.sub_seed))
		try:
			play(scene)
		except BaseException as error:
			problem = str(error) or type(error).__name__
			stop_safety = str(keep_evidence(scene, folder / str(chosen.sub_seed), traceback.format_exc()))
		finally:
			scene.load.end()
			end_command(scene)
			tree.kill(scene.helpers())
	return Result(
		chosen.sub_seed,
		chosen.strategy,
		scene.reached or chosen.step,
		chosen.fault,
		scene.exit_code,
		scene.seconds_to_work,
		tuple(scene.typed),
		problem,
		stop_safety,
		time.monotonic() - began,
	)


def play(scene: Scene) -> None:
	"""The run from top to bottom."""
	chosen = scene.scenario
	config_before = site_config(scene).read_text()
	if chosen.fault == "redis-kill-no-data":
		BEFORE[chosen.fault](scene)
	scene.load.begin()
	scene.before = worker_pids(scene.demo)
	scene.running_before = set(scene.load.open_jobs())
	if chosen.fault != "redis-kill-no-data":
		BEFORE.get(chosen.fault, lambda _: None)(scene)
	scene.start()
	INJECT[chosen.fault](scene)
	scene.finish()
	judge.judge_nothing_touched(scene)
	scene.settle()
	judge.judge_exit(scene)
	judge.judge_old_processes(scene)
	judge.judge_disk(scene)
	judge.judge_suspension(scene)
	by_itself = scene.wait_until_works(scene.injected_at, patience(scene))
	what_a_person_does(scene, by_itself)
	scene.load.end()
	scene.load.submit("after")
	see_every_job_done(scene)
	scene.settle()
	judge.judge_journal(scene)
	judge.judge_replaced(scene)
	judge.judge_migrations(scene)
	judge.judge_jobs(scene)
	judge.judge_bench(scene, config_before)
	judge.judge_suspension(scene)


def patience(scene: Scene) -> float:
	"""How long the bench may need by itself: not at all where something is down by design."""
	is_down = scene.request.state.get("prior") or scene.scenario.fault in (*MEND, *NOT_KEPT, *DOCTORED)
	return 0 if is_down or scene.journal.open_requests() else BOUND_SECONDS


def what_a_person_does(scene: Scene, by_itself: bool) -> None:
	"""Type what the command line says, in that order, until the bench works."""
	since = time.time()
	if scene.suspended_by() == FOREIGN:
		scene.demo.redis.delete("rq:suspended")
		scene.foreign_is_lifted = True
	MEND.get(scene.scenario.fault, lambda _: None)(scene)
	migration(scene)
	if scene.journal.open_requests():
		must_succeed(scene, "recover")
	if scene.request.state.get("prior"):
		end_failed_migration(scene)
	if needs_another(scene):
		must_succeed(scene)
	if scene.scenario.fault in DOCTORED:
		do_what_doctor_says(scene)
	if not by_itself and not scene.wait_until_works(since, BOUND_SECONDS):
		states = {s.name: s.state for s in scene.demo.fleet_reader().manager.services()}
		raise AssertionError(f"the bench does not work after {BOUND_SECONDS} s: {states}")


def do_what_doctor_says(scene: Scene) -> None:
	"""Type the first command that it names, until it names none."""
	for _ in range(MENDS):
		findings = json.loads(scene.type("doctor", "--json").out)["findings"]
		scene.typed.pop()
		mends = [one["fix"].split("`")[1] for one in findings if one["fix"].startswith("`safe-restart")]
		if not mends:
			return
		with scene.load.paused():  # Redis may be among what is replaced
			must_succeed(scene, *mends[0].split()[1:])
		scene.settle()
	raise AssertionError(f"doctor still names something: {findings}")


def end_failed_migration(scene: Scene) -> None:
	words = ("recover", "--start-anyway") if scene.scenario.starts_anyway else ("retry", scene.request.id)
	must_succeed(scene, *words)


def needs_another(scene: Scene) -> bool:
	"""Whether the request failed, or `status` would name workers that died or that Redis has forgotten."""
	if scene.scenario.fault in NOT_KEPT:
		return True
	has_dead = bool(scene.demo.fleet_reader().read().stale)
	return has_dead or (
		scene.request.exit_code == 1 and not {"retry", "recover --start-anyway"} & first_words(scene)
	)


def first_words(scene: Scene) -> set[str]:
	return {
		" ".join(words.split()[:2]) if words.startswith("recover") else words.split()[0]
		for words in scene.typed
	}


def must_succeed(scene: Scene, *words: str) -> None:
	done = scene.type(*words)
	assert done.exit_code in (0, 6), f"`safe-restart {' '.join(words)}` exits {done.exit_code}: {done.text}"


def see_every_job_done(scene: Scene) -> None:
	"""Wait; then requeue what is set aside; then, as after any mishap, a restart finds what was lost."""
	if settles(scene):
		return
	for job_id in judge.set_aside(scene):
		done = scene.type("jobs", "requeue", job_id)
		assert done.exit_code == 0, done.text
	if not settles(scene):
		must_succeed(scene)
		wait_for(lambda: not judge.pending(scene), f"jobs without an end: {judge.pending(scene)}", 30)


def settles(scene: Scene) -> bool:
	deadline = time.monotonic() + PENDING_SECONDS
	while judge.pending(scene):
		if time.monotonic() > deadline:
			return False
		time.sleep(0.1)
	return True


def end_command(scene: Scene) -> None:
	if scene.command and scene.command.poll() is None:
		scene.command.kill()
		scene.command.wait()


def keep_evidence(scene: Scene, folder: Path, trace: str) -> Path:
	"""Copy what tells the story before the bench is gone."""
	folder.mkdir(parents=True, exist_ok=True)
	(folder / "problem.txt").write_text(trace)
	(folder / "scenario.json").write_text(json.dumps(asdict(scene.scenario), indent=1))
	(folder / "command.txt").write_text("\n".join(scene.output))
	with suppress(Exception):
		(folder / "journal.txt").write_text(dump_journal(scene))
	with suppress(Exception):
		(folder / "jobs.txt").write_text(dump_jobs(scene))
	for name in ("ledger.jsonl", "sites/.safe-restart/helper.log", "logs"):
		source = scene.demo.path / name
		with suppress(OSError):
			if source.is_dir():
				shutil.copytree(source, folder / source.name, dirs_exist_ok=True)
			else:
				shutil.copy2(source, folder / source.name)
	return folder


def dump_journal(scene: Scene) -> str:
	lines = [
		f"workers before: {sorted(scene.before)}, running: {sorted(scene.running_before)}; fault in {scene.reached} at "
		f"{time.strftime('%H:%M:%S', time.gmtime(scene.injected_at))}.{int(scene.injected_at % 1 * 1000):03d}"
	]
	for request in reversed(scene.journal.requests()):
		lines.append(f"\n{request}")
		told = [(step.started_at, f"{step.name} began") for step in scene.journal.steps(request.id)]
		told += [
			(step.finished_at or "-", f"{step.name} {step.status}: {step.detail}")
			for step in scene.journal.steps(request.id)
		]
		told += [(event.at, f"  {event.kind}: {event.text}") for event in scene.journal.events(request.id)]
		lines += [f"{at}  {text}" for at, text in sorted(told, key=lambda one: one[0])]
	return "\n".join(lines) + "\n"


def dump_jobs(scene: Scene) -> str:
	begun, ended = scene.demo.runs("begin"), scene.demo.runs()
	lines = [
		f"{name} {job_id} begun {begun[name]} ended {ended[name]} {judge.status_of(scene, name)}"
		for name, job_id in scene.load.ids.items()
		if (begun[name], ended[name]) != (1, 1)
	]
	lines += [f"held: {scene.demo.redis.keys('safe-restart:*')}", f"suspended by {scene.suspended_by()}"]
	return "\n".join(lines) + "\n"


def live_apart() -> None:
	"""Mounts of this run are its own and end with it (unshare(2)); not possible for everybody, nor needed by every fault."""
	libc = ctypes.CDLL(None)
	if libc.unshare(CLONE_NEWNS) == 0:
		libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None)


def main(sub_seed: str, folder: str) -> None:
	def give_up(number, frame):
		raise AssertionError(f"the run was not over after {RUN_TIMEOUT_SECONDS} s")

	signal.signal(signal.SIGALRM, give_up)
	signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
	signal.alarm(RUN_TIMEOUT_SECONDS)
	live_apart()
	print(json.dumps(asdict(run(scenario(int(sub_seed)), Path(folder)))))


if __name__ == "__main__":
	main(*sys.argv[1:])
