"""Carries out one request from the journal: takes the lock, runs the runbook, and always writes how the
request ended."""

import json
import sys
import threading
import time
import traceback
from contextlib import suppress

from redis.exceptions import RedisError

from ..core.bench import Bench
from ..core.errors import (
	COMPLETED_WITH_WARNINGS,
	Blocked,
	Cancelled,
	Refused,
	RestartError,
	Unreachable,
	Unreadable,
	Unwritable,
)
from ..core.text import pluralize
from ..core.waiting import LOOK_INTERVAL_SECONDS
from ..jobs import held
from ..sites import app_hooks
from ..state import records
from ..state.journal import Journal
from ..state.locks import BenchLock
from ..state.records import Request
from ..state.report import RestartReport
from . import runbook
from .recovery import recover_all
from .run import Run, prepare
from .strategies import DRAIN, LEAVE

DUE_POLL_SECONDS = 5  # how often the helper checks whether a delayed job is due
# How long the helper waits for its request. The command writes the request milliseconds after it starts the
# helper; a machine under load may take seconds.
ASKED_SECONDS = 30
FLUSH_SECONDS = 5  # how long the helper tries to write the end of the journal
# How long a host waits until it may let its workers leave. Each host before it takes about a second, and
# Kubernetes gives the hook and the stop of a container 30 s together.
TURN_SECONDS = 20

stop_requested = threading.Event()

ENDS: dict[type[Exception], str] = {
	Cancelled: records.CANCELLED,
	Refused: records.REFUSED,
	Unwritable: records.REFUSED,
	Blocked: records.REFUSED,
}


def execute(bench: Bench, request_id: str) -> int:
	"""Carry out a request to its end and return its exit code.

	Raises Refused or Unreadable where the journal has no such open request; every other error ends in the
	journal.
	"""
	journal = Journal(bench)
	request = await_request(journal, request_id)
	lock = BenchLock(bench)
	run = None
	try:
		if not take_lock(lock, request):
			raise Blocked(other_restart(journal, request))
		try_to_recover(bench, journal, lock, request)
		journal.begin(request.id)
		run = prepare(bench, request, journal, lock, stop_requested.is_set)
		if request.strategy == DRAIN:
			runbook.drain_and_hold(run)
		elif request.strategy == LEAVE:
			runbook.leave(run)
		else:
			is_unfinished = runbook.restart(run)
			lock.release()  # the next restart need not wait for this one's stragglers
			if is_unfinished:
				runbook.watch_stragglers(run)
	except Exception as error:
		write_failure(journal, request, run, error)
	finally:
		lock.release()
	finish_writing(journal)
	for problem in app_hooks.bring_sites_up_to_date(bench):
		print(problem, file=sys.stderr)
	if run:
		release_delayed(run)
	return journal.last_word["exit_code"] if journal.last_word else 1


def await_request(journal: Journal, request_id: str) -> Request:
	"""Return the request as soon as it is open.

	The helper is started first, and then the request is written (helper.start_helper). Raises Refused or
	Unreadable where the request does not come within ASKED_SECONDS.
	"""
	deadline = time.monotonic() + ASKED_SECONDS
	problem: RestartError
	while True:
		try:
			request = journal.request(request_id)
			if request.is_open:
				return request
			problem = Refused(
				f"Request {request_id} has ended already ({request.status}). Nothing was touched."
			)
		except (Refused, Unreadable) as error:
			problem = error
		if time.monotonic() > deadline:
			raise problem
		time.sleep(LOOK_INTERVAL_SECONDS)


def take_lock(lock: BenchLock, request: Request) -> bool:
	"""Take the lock of the bench, and return whether it is ours.

	Hosts that let their workers leave wait for one another.
	"""
	deadline = time.monotonic() + (TURN_SECONDS if request.strategy == LEAVE else 0)
	while not (is_ours := lock.take()) and time.monotonic() < deadline and not stop_requested.is_set():
		time.sleep(LOOK_INTERVAL_SECONDS)
	return is_ours


def finish_writing(journal: Journal) -> None:
	"""Write the rest of the journal.

	Where that fails, print the result, with a warning, for the command line to read.
	"""
	if not journal.writer.flush(FLUSH_SECONDS) and (word := journal.last_word):
		if word["report"] and not any("journal could not be" in text for text in word["report"]["warnings"]):
			word["report"]["warnings"].append(journal.writer.write_problem)
			word["exit_code"] = word["exit_code"] or COMPLETED_WITH_WARNINGS
		with suppress(OSError):
			print(json.dumps(word), flush=True)


def try_to_recover(bench: Bench, journal: Journal, lock: BenchLock, request: Request) -> None:
	"""End what an earlier helper left unfinished. Where that fails, it is noted and this request goes on."""
	try:
		recover_all(bench, journal, lock, stop_requested.is_set)
	except (RestartError, RedisError, OSError) as error:
		journal.note(request.id, f"an earlier request could not be recovered yet: {error}")


def release_delayed(run: Run) -> None:
	"""Stay until all delayed jobs are queued again, by this helper, another one, a command or Frappe's
	scheduler."""
	try:
		while (pause := held.seconds_to_next_due(run.bench, run.fleet_reader.redis)) is not None:
			if run.is_asked_to_stop:
				return
			time.sleep(min(pause + 0.1, DUE_POLL_SECONDS))
			held.release_due(run.bench, run.fleet_reader.redis)
	except (RedisError, OSError):
		return  # the next helper, command or scheduler event does it


def recover(bench: Bench) -> int:
	"""End the requests that dead helpers left, unless another helper holds the lock; returns an exit code.

	Raises RestartError.
	"""
	lock = BenchLock(bench)
	if not lock.take():
		return Blocked.exit_code
	try:
		journal = Journal(bench)
		recover_all(bench, journal, lock, stop_requested.is_set)
		finish_writing(journal)
	finally:
		lock.release()
	return 0


def write_failure(journal: Journal, request: Request, run: Run | None, error: Exception) -> None:
	"""Write into the journal how the request failed, with what was counted until then."""
	exit_code, sentence = 1, str(error)
	if isinstance(error, RestartError):
		exit_code = error.exit_code
	else:
		with suppress(OSError):  # the log is on the disk that may be full
			traceback.print_exc(file=sys.stderr)
		sentence = explain(error, run)
	if isinstance(error, Unreachable):
		sentence = f"{error}. {sentence_of_state(run)}"
	if run and run.stopper.stop_requests and exit_code in (2, 3, 5):
		replaced = pluralize(len(run.stopper.stop_requests), "worker without a job")
		sentence += f" Replaced in the meantime: {replaced}."
	status = ENDS.get(type(error), records.FAILED)
	if run:
		run.write_report(status, exit_code, sentence)
	else:
		journal.write_report(request.id, status, exit_code, sentence, RestartReport().as_dict())


def explain(error: Exception, run: Run | None) -> str:
	"""What happened, how the bench is now and what to type, for an error that is no RestartError."""
	what = (
		"Redis went away" if isinstance(error, RedisError) else f"Something unforeseen happened ({error!r})"
	)
	return f"{what}. {sentence_of_state(run)} The details are in sites/.safe-restart/helper.log."


def sentence_of_state(run: Run | None) -> str:
	"""How the bench is after an error, and what to type."""
	state, then = "Nothing was stopped, and the bench works as before", "try again"
	if run and run.is_past_point_of_no_return:
		state = f"Services were being replaced; {run.manager.name} starts again each one that ended"
		then = "replace what is still old"
	return (
		f"{state}. Workers that this restart suspended take jobs again within 30 s. Type `safe-restart "
		f"status -v` to see the bench, then `safe-restart` to {then}."
	)


def other_restart(journal: Journal, request: Request) -> str:
	"""Which request holds the lock, and how to end it, as a refusal of this one."""
	for other in journal.open_requests():
		holds_lock = other.status == records.RUNNING or other.strategy == DRAIN
		if other.id != request.id and holds_lock and not journal.is_abandoned(other):
			doing = "holds the bench drained" if other.strategy == DRAIN else "is running"
			command = "safe-restart resume" if other.strategy == DRAIN else f"safe-restart cancel {other.id}"
			return (
				f"Request {other.id} ({other.strategy}, by {other.requested_by}) {doing}. Nothing was "
				f"touched. Wait until it has ended, or type `{command}`."
			)
	return (
		"Another restart of this bench is running. Nothing was touched. Type `safe-restart status` to see it."
	)
