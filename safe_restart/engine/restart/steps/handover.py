"""The step that waits until a person has restarted a drained bench: nobody else can restart what runs in the
foreground."""

import time

from redis.exceptions import RedisError

from ...core.errors import RestartError
from ...processes import tree
from ...processes.classify import REDIS
from ...processes.tree import ProcessHandle
from ..run import Run

PERSON_INTERVAL_SECONDS = 0.25  # a person does not act faster


def wait_for_manual_restart(run: Run, detail: list[str]) -> None:
	"""Ask a person to restart the bench, and keep it drained until all of it was started again or the time is
	over.

	Raises Cancelled; raises RestartError where the bench was stopped and not started again.
	"""
	old: list[ProcessHandle] = [
		process for one in run.manager.services() if run.is_old(one) and (process := tree.get(one.pid))
	]
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
	still_old = [process for process in old if tree.is_alive(process)]
	if is_back:
		run.pass_point_of_no_return()
		detail.append("all of it was started again")
	elif not still_old:
		raise RestartError(
			"The bench was stopped and not started again until now: nothing serves it. No job was "
			f"interrupted, and jobs that wait are kept in Redis. Type `{command}`: workers take jobs at once."
		)
	else:
		is_untouched = len(still_old) == len(old)
		detail.append("nothing was restarted" if is_untouched else "not all of it was restarted")
		run.warn(not_restarted(still_old, old, seconds, command))


def ask(run: Run, sentence: str) -> None:
	"""Show what a person has to do now, to those who follow and in the status; an empty sentence takes that
	back."""
	run.journal.remember(run.request.id, asks=sentence)
	if sentence:
		run.ask(sentence)


def safe_now(run: Run, command: str) -> str:
	"""The sentence that asks a person to restart the bench."""
	clock = time.strftime("%H:%M:%S UTC", time.gmtime(time.time() + run.options.hold_seconds))
	return (
		"No job runs and new ones wait: it is safe now to restart the bench. Press Ctrl-C where "
		f"{run.manager.name} runs, then type `{command}` there. Work goes on as soon as it is back, or at "
		f"{clock} if nothing was restarted."
	)


def not_restarted(
	still_old: list[ProcessHandle], old: list[ProcessHandle], seconds: float, command: str
) -> str:
	"""The warning that a person did not restart all of the bench in time."""
	restarted = len(old) - len(still_old)
	what = (
		f"only {restarted} of {len(old)} processes were restarted" if restarted else "nothing was restarted"
	)
	pids = ", ".join(str(process.pid) for process in still_old[:5]) + " …" * (len(still_old) > 5)
	return (
		f"{what} within {seconds:g} s, so old code still runs (pid {pids}); workers take jobs again. Type "
		f"`safe-restart`, and when it says so stop everything and type `{command}`"
	)


def is_started_again(run: Run, old: list[ProcessHandle]) -> bool:
	"""Whether no old process is left and each new worker has registered; False while Redis is away."""
	if any(map(tree.is_alive, old)):
		return False
	try:
		fleet = run.fleet_reader.read()
	except (RedisError, OSError):
		return False
	kinds = {service.kind for service in run.manager.services()}
	are_there = bool(fleet.programs) or not run.programs_before
	return bool(kinds - {REDIS}) and are_there and all(program.workers for program in fleet.programs)
