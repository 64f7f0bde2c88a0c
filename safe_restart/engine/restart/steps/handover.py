"""Handing a drained bench over to the person at its terminal, who alone can restart what runs in the foreground."""

import time

from redis.exceptions import RedisError

from ...core.errors import RestartError
from ...processes import tree
from ...processes.classify import REDIS
from ..run import Run

PERSON_INTERVAL_SECONDS = 0.25  # a person is waited for


def wait_for_manual_restart(run: Run, detail: list[str]) -> None:
	"""Say that it is safe now, and keep the bench drained until all of it was started again, or the time is over.

	Raises Cancelled, and RestartError where it was stopped and is not there again.
	"""
	old = [process for one in run.manager.services() if run.is_old(one) and (process := tree.get(one.pid))]
	seconds = run.options.hold_seconds
	until = time.monotonic() + seconds
	command = run.manager.start_command(next(iter(run.manager.services()), None))
	ask(run, safe_now(run, command))
	try:
		while not (is_back := is_started_again(run, old)) and time.monotonic() < until:
			if all(map(tree.is_alive, old)):
				run.check_cancelled()
			elif run.is_asked_to_stop:
				break
			time.sleep(PERSON_INTERVAL_SECONDS)
	finally:
		ask(run, "")
	left = [process for process in old if tree.is_alive(process)]
	if is_back:
		run.pass_point_of_no_return()
		detail.append("all of it was started again")
	elif not left:
		raise RestartError(
			f"Everything was stopped and not started again, as far as could be seen until now: nothing serves the bench. No "
			f"job was interrupted, and those that wait are in Redis. Type `{command}`: workers take jobs at once."
		)
	else:
		detail.append("nothing was restarted" if len(left) == len(old) else "not all of it was restarted")
		run.warn(not_restarted(left, old, seconds, command))


def ask(run: Run, sentence: str) -> None:
	"""Let everybody who follows or looks know what a person has to do now; nothing any more where it is empty."""
	run.journal.remember(run.request.id, asks=sentence)
	if sentence:
		run.ask(sentence)


def safe_now(run: Run, command: str) -> str:
	clock = time.strftime("%H:%M:%S UTC", time.gmtime(time.time() + run.options.hold_seconds))
	return (
		f"No job runs and new ones wait: it is safe now to restart the bench. Press Ctrl-C where {run.manager.name} runs, "
		f"then type `{command}` there. Work goes on as soon as it is back, or at {clock} if nothing was restarted."
	)


def not_restarted(left: list, old: list, seconds: float, command: str) -> str:
	what = (
		"nothing was restarted"
		if len(left) == len(old)
		else f"only {len(old) - len(left)} of {len(old)} processes were restarted"
	)
	pids = ", ".join(str(process.pid) for process in left[:5]) + " …" * (len(left) > 5)
	return (
		f"{what} within {seconds:g} s, so old code still runs (pid {pids}); workers take jobs again. Type `safe-restart`, "
		f"and when it says so stop everything and type `{command}`"
	)


def is_started_again(run: Run, old: list) -> bool:
	"""Whether no old process is left and each new worker has registered. False also while Redis is away."""
	if any(map(tree.is_alive, old)):
		return False
	try:
		fleet = run.fleet_reader.read()
	except (RedisError, OSError):
		return False
	kinds = {service.kind for service in run.manager.services()}
	are_there = bool(fleet.programs) or not run.programs_before
	return bool(kinds - {REDIS}) and are_there and all(program.workers for program in fleet.programs)
