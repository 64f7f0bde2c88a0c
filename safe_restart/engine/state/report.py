"""The report of a restart: what was counted, in JSON and in a sentence. The JSON form is a contract."""

from dataclasses import asdict, dataclass, field
from typing import Any

from ..core.errors import COMPLETED, COMPLETED_WITH_WARNINGS, RestartError
from ..core.text import pluralize
from ..core.timestamps import seconds_between
from .records import FAILED, REFUSED, Request, Step


@dataclass
class JobCounts:
	"""Numbers of jobs. `requeued` are in a queue again, `delayed` run again after a pause, `held` wait for a person."""

	running_at_start: int = 0
	queued_at_start: int = 0
	finished_during: int = 0
	interrupted: int = 0
	requeued: int = 0
	delayed: int = 0
	held: int = 0
	lost_and_found: int = 0


@dataclass
class WorkerCounts:
	"""Numbers of workers. `still_old` run old code after the restart."""

	before: int = 0
	after: int = 0
	replaced: int = 0
	still_old: int = 0


@dataclass
class WebCounts:
	"""How long the web did not answer. `checked` is false where no site could be asked, so that nothing is known."""

	checked: bool = False
	outage_ms: int = 0


@dataclass
class RestartReport:
	"""What was counted, and nothing that was not checked. `affected` says what became of single jobs."""

	jobs: JobCounts = field(default_factory=JobCounts)
	workers: WorkerCounts = field(default_factory=WorkerCounts)
	web: WebCounts = field(default_factory=WebCounts)
	warnings: list[str] = field(default_factory=list)
	problems: list[str] = field(default_factory=list)
	affected: list[dict[str, Any]] = field(default_factory=list)

	@property
	def exit_code(self) -> int:
		"""The exit code of the command line (core/errors.py)."""
		if self.problems:
			return 1
		return COMPLETED_WITH_WARNINGS if self.warnings else COMPLETED

	def as_dict(self) -> dict[str, Any]:
		return asdict(self)

	@property
	def outcome(self) -> str:
		"""What a person reads: one sentence, or what does not work."""
		if self.problems:
			return "\n".join(
				[
					"The restart ran to its end, but not everything works:",
					*self.problems,
					"Type `safe-restart status -v` to see the bench now.",
				]
			)
		jobs, workers = self.jobs, self.workers
		said = [f"{workers.replaced} of {pluralize(workers.before, 'worker')} replaced"]
		said.append(
			f"{pluralize(jobs.interrupted, 'job')} interrupted" if jobs.interrupted else "no job interrupted"
		)
		if jobs.requeued:
			said.append(f"{jobs.requeued} queued again")
		if jobs.delayed:
			said.append(f"{jobs.delayed} to run again after a pause")
		if jobs.held:
			said.append(f"{jobs.held} held")
		if self.web.checked:
			said.append(f"web away for {self.web.outage_ms / 1000:.2f} s")
		return ", ".join(said) + "."


def as_json(request: Request, steps: list[Step]) -> dict[str, Any]:
	"""The object that `--json` prints, with all keys even for a request that was refused or still runs."""
	return {
		**skeleton(request.report or asdict(RestartReport())),
		"request": request.id,
		"strategy": request.strategy,
		"status": request.status,
		"exit_code": request.exit_code,
		"started_at": request.started_at,
		"finished_at": request.finished_at,
		"seconds": round(seconds_between(request.started_at, request.finished_at), 3),
		"steps": [
			{"name": step.name, "status": step.status, "seconds": step.seconds, "detail": step.detail}
			for step in steps
		],
		"outcome": request.outcome,
	}


def refusal(error: RestartError) -> dict[str, Any]:
	"""The object that `--json` prints where no request was made."""
	status = REFUSED if error.exit_code == 2 else FAILED
	return {
		**skeleton(asdict(RestartReport())),
		"status": status,
		"exit_code": error.exit_code,
		"outcome": str(error),
	}


def skeleton(report: dict[str, Any]) -> dict[str, Any]:
	"""All keys of the contract, in order, with what was counted."""
	return {
		"request": None,
		"strategy": None,
		"status": None,
		"exit_code": None,
		"started_at": None,
		"finished_at": None,
		"seconds": 0.0,
		"steps": [],
		"jobs": report["jobs"],
		"workers": report["workers"],
		"web": report["web"],
		"warnings": report["warnings"],
		"outcome": None,
	}
