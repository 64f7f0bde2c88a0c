"""Asking the bench's apps before a restart, and telling them before and after: their hooks, by name in sites/app_hooks.py."""

from ...core.errors import Blocked, Refused
from ...sites import app_hooks
from ..run import Run


def before_hooks(run: Run, detail: list[str]) -> None:
	"""Let apps object, then tell them that a restart begins; one that cannot cope with it objects by raising.

	Raises Blocked with what they say, unless a person overrides them; then it is noted.
	"""
	if run.options.override_blockers and not run.request.reason:
		raise Refused("--override-blockers needs a --reason, which is recorded. Nothing was touched.")
	raise_if_blocked(run, app_hooks.objections(run.bench))
	has_before = app_hooks.declares(run.bench, app_hooks.BEFORE)
	if not (has_before or app_hooks.declares(run.bench, app_hooks.AFTER)):
		detail.append("no app has to be told")
		return
	run.journal.remember(run.request.id, owes_after_hooks=True)
	if has_before:
		raise_if_blocked(run, app_hooks.call(run.bench, "before", run.bench.sites, run.request.id))
	detail.append("apps were told")


def raise_if_blocked(run: Run, objections: list[app_hooks.Objection]) -> None:
	said = "; ".join(map(str, objections))
	if objections and run.options.override_blockers:
		run.note(f"{run.request.requested_by} goes on although there is an objection: {said}")
	elif objections:
		raise Blocked(
			f"There is an objection: {said}. Nothing was touched. Wait until that is over; or go on all the same with "
			'--override-blockers --reason "…", which is recorded.'
		)


def after_hooks(run: Run, status: str) -> None:
	"""Tell apps that the restart they were told of is over, however it ended. What they raise becomes a warning.

	One whose migration failed is not over: it is gone on with, or given up, by a person.
	"""
	state = run.journal.request(run.request.id).state
	if state.get("prior") or not state.get("owes_after_hooks"):
		return
	with run.step("after-hooks") as detail:
		if app_hooks.declares(run.bench, app_hooks.AFTER):
			for objection in app_hooks.call(run.bench, "after", run.bench.sites, run.request.id, status):
				run.warn(f"after the restart: {objection}")
		run.journal.remember(run.request.id, owes_after_hooks=False)
		detail.append("apps were told")
