"""What must be true once a run is over, fault or no fault."""

import json
import sqlite3
import time
from collections.abc import Iterator
from datetime import timezone

from rq.exceptions import NoSuchJobError
from rq.job import Job

from safe_restart.engine.processes import tree
from safe_restart.engine.state.records import FAILED, REFUSED
from tests.support.health import assert_bench_is_healthy
from tests.support.restarts import worker_pids
from tests.support.waiting import wait_for

from .inject import FOREIGN, site_config
from .scenario import ENDS, FAULTS, INTERRUPTING
from .scene import Scene

LEASE_SECONDS = 31
JOBS_DONE_SECONDS = 20
REDIS_SLACK_SECONDS = 2  # a worker says what became of a job a moment after the job ended
NOTHING_TOUCHED = (2, 3, 4, 5)


def judge_exit(scene: Scene) -> None:
	"""The exit code is one that this fault may lead to, and tells what the journal tells."""
	code, request = scene.exit_code, scene.request
	fault = FAULTS[scene.scenario.fault]
	allowed = fault.exits if scene.was_in_time else ENDS | fault.exits
	assert code in allowed, f"exit code {code}, where {sorted(allowed)} are expected: {request.outcome}"
	assert "Something unforeseen" not in (request.outcome or ""), request.outcome
	if scene.second_exit_code is not None:
		assert scene.second_exit_code in (0, 4, 6), f"the second command line exits {scene.second_exit_code}"
	is_own = code >= 0 and not request.is_open and not has_watched(scene)
	if is_own:
		assert code == request.exit_code, f"exit code {code}, journal {request.exit_code}"
		assert (code in (1, 3)) == (request.status == FAILED), f"exit code {code}, status {request.status}"
		assert (code in (2, 4)) == (request.status == REFUSED), f"exit code {code}, status {request.status}"


def has_watched(scene: Scene) -> bool:
	return [name for name, _ in scene.steps()].count("verify") > 1


def judge_nothing_touched(scene: Scene) -> None:
	"""Refused, timed out and cancelled say that all is as before: a job that ran all along has its old worker."""
	if scene.exit_code not in NOTHING_TOUCHED or scene.scenario.fault in DISTURBING_WORKERS:
		return
	for name, pid in scene.load.open_jobs().items():
		horse = tree.get(pid)
		above = tree.ancestors(horse)[1:] if horse and name in scene.running_before else []
		is_old = not above or bool(scene.before & set(above))
		assert is_old, f"exit code {scene.exit_code}, yet {name} (pid {pid}) lost its worker"


DISTURBING_WORKERS = ("worker-kill", "worker-and-horse-kill", "horse-kill", "two-at-once")


def judge_replaced(scene: Scene) -> None:
	"""Completed means that every worker is a new one."""
	request = scene.request
	warnings = " ".join((request.report or {}).get("warnings", []))
	if request.exit_code in (0, 6) and "workers were left as they are" not in warnings:
		old = scene.before & worker_pids(scene.demo)
		assert not old, f"exit code {request.exit_code}, yet workers {sorted(old)} are old"


def judge_old_processes(scene: Scene) -> None:
	"""Completed also means that no process of an old worker lives on without being named."""
	request = scene.request
	if scene.exit_code not in (0, 6) or request.is_open or request.exit_code not in (0, 6):
		return
	said = " ".join([*(request.report or {}).get("warnings", []), request.outcome or ""])
	if "workers were left as they are" in said:
		return
	for process in filter(None, map(tree.get, scene.before)):
		assert str(process.pid) in said, (
			f"old process {process.pid} ({process.cmdline()}) lives and is not named: {said}"
		)


def judge_disk(scene: Scene) -> None:
	"""Whoever could not write the journal says so on the command line."""
	if scene.scenario.fault != "disk-full" or not scene.was_in_time:
		return
	said = scene.output[0]
	if scene.exit_code == 2:
		assert "cannot be written" in said and "is full" in said, said
	elif scene.stays_full and scene.journal.open_requests():
		assert "the journal could not be written" in said, said
	db = sqlite3.connect(f"file:{scene.journal.path}?mode=ro", uri=True)
	assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
	db.close()


def judge_suspension(scene: Scene) -> None:
	"""None of ours is left when the lease is over; somebody else's is still there."""
	deadline = time.monotonic() + LEASE_SECONDS
	while scene.is_suspended_by_us():
		assert time.monotonic() < deadline, (
			f"suspended by {scene.suspended_by()!r} for over {LEASE_SECONDS} s"
		)
		time.sleep(0.1)
	if scene.scenario.fault == "foreign-suspension" and not scene.foreign_is_lifted:
		assert scene.suspended_by() == FOREIGN, f"the foreign suspension is now {scene.suspended_by()!r}"


def judge_journal(scene: Scene) -> None:
	"""Every request has ended, and every step of it."""
	still_open = [request.id for request in scene.journal.open_requests()]
	assert not still_open, f"requests are left open: {still_open}"
	for request in scene.journal.requests():
		steps = scene.journal.steps(request.id)
		endless = [step.name for step in steps if step.finished_at is None or step.status == "doing"]
		assert not endless, f"steps of {request.id} without an end: {endless}"


def judge_migrations(scene: Scene) -> None:
	"""No job ran while a migration did; where those that ran were allowed to, none began."""
	ledger = scene.demo.ledger()
	is_allowed = scene.scenario.strategy == "migrate-beside-jobs"
	began: dict[str, float] = {}
	for entry in ledger:
		if entry["what"] == "begin":
			began[entry["job"]] = entry["at"]
		elif entry["what"] == "end":
			for start, end in migrations(ledger):
				ran_meanwhile = began[entry["job"]] < end and entry["at"] > start
				ran_meanwhile = ran_meanwhile and not (is_allowed and began[entry["job"]] < start)
				assert not ran_meanwhile, f"{entry['job']} ran during a migration"


def migrations(ledger: list[dict]) -> Iterator[tuple[float, float]]:
	"""From when to when each migration wrote in the ledger; one that was ended early counts as an instant."""
	entries = [entry for entry in ledger if entry["what"] == "migrate"]
	for number, entry in enumerate(entries):
		if entry["job"].endswith("begin"):
			following = entries[number + 1 : number + 2]
			ends = [after["at"] for after in following if after["job"].endswith("end")]
			yield entry["at"], ends[0] if ends else entry["at"]


def judge_jobs(scene: Scene) -> None:
	"""Every job ended once, or its other fate is accounted for; what RQ failed by itself is then taken away."""
	if scene.load.failures and scene.redis_away is None:
		raise AssertionError(f"jobs could not be submitted: {scene.load.failures[:3]}")
	if scene.scenario.fault == "redis-kill-no-data":
		forget_lost(scene)
		return
	excused = around_redis(scene) | scene.failed_jobs
	settle_failed(scene, excused)
	ended, begun = scene.demo.runs("end"), scene.demo.runs("begin")
	for name in scene.load.ids:
		limit = 2 if name in excused else 1
		assert ended[name] <= limit, f"{name} ended {ended[name]} times"
	may_repeat = scene.scenario.strategy in INTERRUPTING
	for name in scene.load.ids if not may_repeat else ():
		if name not in scene.killed_jobs | excused:
			assert begun[name] == 1, f"{name} began {begun[name]} times, and nothing was to interrupt it"


def around_redis(scene: Scene) -> set[str]:
	"""Jobs that ran, or were to begin, while Redis was away, so that their end could not be told."""
	if scene.redis_away is None:
		return set()
	since, until = (
		scene.redis_away[0] - REDIS_SLACK_SECONDS,
		scene.redis_away[1] + REDIS_SLACK_SECONDS,
	)
	began: dict[str, float] = {}
	found = set()
	for entry in scene.demo.ledger():
		if entry["what"] == "begin":
			began.setdefault(entry["job"], entry["at"])
			if since < entry["at"] < until:
				found.add(entry["job"])
		elif entry["what"] == "end" and began[entry["job"]] < until and entry["at"] > since:
			found.add(entry["job"])
	found |= {name for name, at in began.items() if at < until and not scene.demo.runs()[name]}
	# One that was popped then and could not even say that it began is failed by its worker, or by RQ's maintenance.
	return found | {
		name for name in scene.load.ids if name not in began and since < queued_at(scene, name) < until
	}


def queued_at(scene: Scene, name: str) -> float:
	"""When it was queued, and popped right after; 0 where nobody knows any more."""
	try:
		moment = Job.fetch(scene.load.ids[name], connection=scene.demo.redis).enqueued_at
	except NoSuchJobError:
		return 0
	return moment.replace(tzinfo=moment.tzinfo or timezone.utc).timestamp() if moment else 0


def status_of(scene: Scene, name: str) -> str:
	try:
		return Job.fetch(scene.load.ids[name], connection=scene.demo.redis).get_status(refresh=True).value
	except NoSuchJobError:
		return "gone"


def pending(scene: Scene) -> list[str]:
	"""Jobs without an end that their own worker did not fail."""
	ended = scene.demo.runs()
	missing = [name for name in scene.load.ids if not ended[name]]
	if scene.scenario.fault == "redis-kill-no-data":
		return [name for name in missing if status_of(scene, name) in ("queued", "started")]
	excused = scene.failed_jobs | around_redis(scene)
	return [name for name in missing if not (name in excused and status_of(scene, name) == "failed")]


def settle_failed(scene: Scene, excused: set[str]) -> None:
	"""Delete the jobs that failed by their own worker, as a person would who has looked at them."""
	for name in excused:
		if status_of(scene, name) == "failed":
			Job.fetch(scene.load.ids[name], connection=scene.demo.redis).delete()


def forget_lost(scene: Scene) -> None:
	for name in scene.load.ids:
		if status_of(scene, name) == "failed":
			Job.fetch(scene.load.ids[name], connection=scene.demo.redis).delete()


def set_aside(scene: Scene) -> list[str]:
	"""Ids of the jobs that `safe-restart jobs` lists."""
	done = scene.type("jobs", "--json")
	scene.typed.pop()
	assert done.exit_code == 0, done.text
	return [job["id"] for job in json.loads(done.out)["jobs"]]


def judge_bench(scene: Scene, config_before: str) -> None:
	"""The shared question of all tests, and the site's configuration."""
	assert site_config(scene).read_text() == config_before or json.loads(
		site_config(scene).read_text()
	) == json.loads(config_before), f"site_config.json is {site_config(scene).read_text()}"
	excused = around_redis(scene) | scene.failed_jobs
	if scene.scenario.fault == "redis-kill-no-data":
		excused = set(scene.load.ids) - {"after"}
	jobs = [name for name in scene.load.ids if name not in excused]
	may_repeat = jobs if scene.scenario.strategy in INTERRUPTING else [*scene.killed_jobs]
	wait_for(lambda: not scene.load.open_jobs().keys() & set(jobs), "no job runs", JOBS_DONE_SECONDS)
	assert_bench_is_healthy(scene.demo, jobs, may_repeat)
