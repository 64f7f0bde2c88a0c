"""Carrying out one request from the journal: the lock, the runbook, and an end that is always set down."""

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

DUE_POLL_SECONDS = 5
# From the helper's start to the line in the journal: milliseconds, on a machine that breathes.
ASKED_SECONDS = 30
FLUSH_SECONDS = 5
TURN_SECONDS = (
	20  # leaving takes each host about a second; Kubernetes gives its hook and the stop 30 s together
)

stop_requested = threading.Event()

ENDS: dict[type[Exception], str] = {
	Cancelled: records.CANCELLED,
	Refused: records.REFUSED,
	Unwritable: records.REFUSED,
	Blocked: records.REFUSED,
}


def execute(bench: Bench, request_id: str) -> int:
	"""Run the request to its end, whatever that is, and return its exit code. Raises Refused without a request."""
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
			runbook.hold(run)
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
	"""The request, as soon as it is open: whoever asks starts the helper first (helper.hand_over). Raises Refused where
	that does not come."""
	deadline = time.monotonic() + ASKED_SECONDS
	problem: RestartError
	while True:
		try:
			request = journal.request(request_id)
			if request.is_open:
				return request
			problem = Refused(f"Request {request_id} has ended already ({request.status}).")
		except (Refused, Unreadable) as error:
			problem = error
		if time.monotonic() > deadline:
			raise problem
		time.sleep(LOOK_INTERVAL_SECONDS)


def take_lock(lock: BenchLock, request: Request) -> bool:
	"""Whether the bench is ours alone now. Hosts that let their workers leave wait for one another."""
	deadline = time.monotonic() + (TURN_SECONDS if request.strategy == LEAVE else 0)
	while not (is_ours := lock.take()) and time.monotonic() < deadline and not stop_requested.is_set():
		time.sleep(LOOK_INTERVAL_SECONDS)
	return is_ours


def finish_writing(journal: Journal) -> None:
	"""Where the journal cannot be written to the end, the command line reads it on our standard output, with a warning."""
	if not journal.writer.flush(FLUSH_SECONDS) and (word := journal.last_word):
		if word["report"] and not any("journal could not be" in text for text in word["report"]["warnings"]):
			word["report"]["warnings"].append(journal.writer.write_problem)
			word["exit_code"] = word["exit_code"] or COMPLETED_WITH_WARNINGS
		with suppress(OSError):
			print(json.dumps(word), flush=True)


def try_to_recover(bench: Bench, journal: Journal, lock: BenchLock, request: Request) -> None:
	"""What an earlier helper left comes first; where that cannot be ended now, it does not stand in the way."""
	try:
		recover_all(bench, journal, lock, stop_requested.is_set)
	except (RestartError, RedisError, OSError) as error:
		journal.note(request.id, f"an earlier request could not be recovered yet: {error}")


def release_delayed(run: Run) -> None:
	"""Stay until the jobs that were delayed are queued again; whoever else comes first does it instead of us."""
	try:
		while (pause := held.seconds_to_next_due(run.bench, run.fleet_reader.redis)) is not None:
			if run.is_asked_to_stop:
				return
			time.sleep(min(pause + 0.1, DUE_POLL_SECONDS))
			held.release_due(run.bench, run.fleet_reader.redis)
	except (RedisError, OSError):
		return  # the next helper, command or scheduler event does it


def recover(bench: Bench) -> int:
	"""End what dead helpers left, if nobody else is at it; returns an exit code. Raises RestartError."""
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
	"""Journal how the request ended badly, with what was counted until then."""
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
		sentence += f" {len(run.stopper.stop_requests)} idle workers were replaced while it waited."
	status = ENDS.get(type(error), records.FAILED)
	if run:
		run.write_report(status, exit_code, sentence)
	else:
		journal.write_report(request.id, status, exit_code, sentence, RestartReport().as_dict())


def explain(error: Exception, run: Run | None) -> str:
	what = (
		"Redis went away" if isinstance(error, RedisError) else f"Something unforeseen happened ({error!r})"
	)
	return f"{what}. {sentence_of_state(run)} helper.log in sites/.safe-restart has the details."


def sentence_of_state(run: Run | None) -> str:
	state = "Nothing was stopped, and the bench works as before"
	if run and run.is_past_point_of_no_return:
		state = f"Services were being replaced; {run.manager.name} brings back each that left"
	return (
		f"{state}. A suspension of ours lapses within 30 s. Type `safe-restart status -v` to see the bench, then "
		"`safe-restart` to go on."
	)


def other_restart(journal: Journal, request: Request) -> str:
	for other in journal.open_requests():
		holds_lock = other.status == records.RUNNING or other.strategy == DRAIN
		if other.id != request.id and holds_lock and not journal.is_abandoned(other):
			does = "holds the bench drained" if other.strategy == DRAIN else "is running"
			end = "safe-restart resume" if other.strategy == DRAIN else f"safe-restart cancel {other.id}"
			return (
				f"Request {other.id} ({other.strategy}, by {other.requested_by}) {does}. Nothing was touched. Wait for "
				f"it, or end it with `{end}`."
			)
	return "Another restart of this bench is running. Nothing was touched. See `safe-restart status`."
