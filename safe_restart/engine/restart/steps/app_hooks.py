"""Steps that ask the apps of a bench whether a restart may begin, and tell them when it begins and how it
ended."""

from ...core.errors import Blocked, Refused
from ...sites import app_hooks
from ..run import Run


def before_hooks(run: Run, detail: list[str]) -> None:
	"""Ask apps for objections, then tell them that a restart begins. A hook that raises then objects too.

	Raises Blocked with the objections, unless a person overrides them: then they are noted. Raises Refused
	where the person gives no reason for that.
	"""
	if run.options.override_blockers and not run.request.reason:
		raise Refused(
			'--override-blockers needs a reason, which is recorded. Nothing was touched. Add --reason "…".'
		)
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
	"""Raises Blocked where there are objections, unless a person overrides them: then they are noted."""
	said = "; ".join(map(str, objections))
	if objections and run.options.override_blockers:
		run.note(f"{run.request.requested_by} goes on although there is an objection: {said}")
	elif objections:
		raise Blocked(
			f"There is an objection: {said}. Nothing was touched. Type the command again when that is over; "
			"or go on all the same with "
			'--override-blockers --reason "…", which is recorded.'
		)


def after_hooks(run: Run, status: str) -> None:
	"""Tell apps how the restart ended, if they were told that it begins. What they raise becomes a warning.

	A restart whose migration failed has not ended: a person goes on with it or gives it up.
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
