"""How often and how soon an interrupted job is run again, and which must not be without a person."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from ..core.bench import Bench
from ..core.errors import Refused
from ..rq.job_description import is_named
from ..sites import app_hooks
from .actions import DELAY, FAIL, HOLD, INTERRUPTED_CHOICES, REQUEUE

CAREFUL = (HOLD, FAIL, REQUEUE)  # the most careful one first

MAX_ATTEMPTS = 3
DELAYS_SECONDS = (0, 60, 120, 240)
MAX_DELAY_SECONDS = 30 * 24 * 3600  # what is to wait longer is for a person
JITTER = 0.1  # so that jobs that were interrupted together do not all come back in the same second


@dataclass(frozen=True)
class Policy:
	"""What becomes of interrupted jobs on one bench.

	max_attempts: with the interruption that makes as many, the job is held
	delays_seconds: before it runs again, by how often it was interrupted; the last one holds for all further
	methods: requeue, hold or fail, by dotted method, as settings and apps say
	"""

	max_attempts: int = MAX_ATTEMPTS
	delays_seconds: tuple[float, ...] = DELAYS_SECONDS
	methods: tuple[tuple[str, str], ...] = ()

	def decide(
		self, method: str, interruptions: int, asked: str, random_number: Callable[[], float] = random.random
	) -> tuple[str, float]:
		"""What to do with a job that was just interrupted for the nth time: (action, seconds of delay).

		What was asked for counts unless the method has a policy of its own; a job is never run again beyond
		max_attempts. Of several policies for what a name that RQ cut may stand for, the most careful one counts.
		"""
		actions = {action for name, action in self.methods if is_named(method, name)}
		action = next((action for action in CAREFUL if action in actions), asked)
		if action == REQUEUE and interruptions >= self.max_attempts:
			return HOLD, 0
		if action != REQUEUE:
			return action, 0
		delay = (
			self.delays_seconds[min(interruptions, len(self.delays_seconds)) - 1]
			if self.delays_seconds
			else 0
		)
		return (DELAY, delay * (1 + JITTER * random_number())) if delay else (REQUEUE, 0)


def of_bench(bench: Bench) -> Policy:
	"""From common_site_config.json, `safe_restart: {"max_attempts", "retry_delays_seconds", "job_policy"}`, and from
	the hook `safe_restart_job_policy` of the apps; the settings have the last word. Raises Refused."""
	settings = bench.settings
	attempts = settings.get("max_attempts", MAX_ATTEMPTS)
	delays = settings.get("retry_delays_seconds", DELAYS_SECONDS)
	chosen = settings.get("job_policy") or {}
	is_right = (
		isinstance(attempts, int)
		and attempts >= 1
		and isinstance(delays, list | tuple)
		and all(isinstance(delay, int | float) and 0 <= delay <= MAX_DELAY_SECONDS for delay in delays)
		and isinstance(chosen, dict)
		and all(action in INTERRUPTED_CHOICES for action in chosen.values())
	)
	if not is_right:
		raise Refused(
			"safe_restart in common_site_config.json: max_attempts is a number from 1, retry_delays_seconds a list of "
			f"seconds up to {MAX_DELAY_SECONDS}, job_policy maps methods to {', '.join(INTERRUPTED_CHOICES)}. "
			"Nothing was touched. Correct it and try again."
		)
	methods = {**from_apps(bench), **chosen}
	return Policy(attempts, tuple(delays), tuple(sorted(methods.items())))


def from_apps(bench: Bench) -> dict[str, str]:
	"""What the apps' hooks say, as far as it means something."""
	return {
		method: action
		for method, action in app_hooks.job_policies(bench).items()
		if isinstance(method, str) and action in INTERRUPTED_CHOICES
	}
