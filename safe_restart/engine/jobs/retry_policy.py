"""What becomes of an interrupted job: when and how often it is run again, and when it is held or marked as failed."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from ..core.bench import Bench
from ..core.settings import Settings
from ..rq.job_description import is_named
from ..sites import app_hooks
from .actions import DELAY, FAIL, HOLD, INTERRUPTED_CHOICES, REQUEUE

CAREFUL = (HOLD, FAIL, REQUEUE)  # the most careful one first

JITTER = 0.1  # so that jobs that were interrupted together do not all come back in the same second


@dataclass(frozen=True)
class Policy:
	"""What becomes of interrupted jobs on one bench.

	max_attempts: a job that was interrupted this often is held
	delays_seconds: the pause before a job runs again after its first, second, … interruption; the last one is used for all
	    further interruptions
	methods: requeue, hold or fail, by dotted method, from settings and apps
	"""

	max_attempts: int = Settings.max_attempts
	delays_seconds: tuple[float, ...] = Settings.retry_delays_seconds
	methods: tuple[tuple[str, str], ...] = ()

	def decide(
		self, method: str, interruptions: int, asked: str, random_number: Callable[[], float] = random.random
	) -> tuple[str, float]:
		"""What to do with a job that was just interrupted for the nth time: (action, seconds of delay).

		The policy of the method counts, or where it has none, `asked`. A job is never run again beyond max_attempts. RQ cuts
		long names of methods: where several policies fit a cut name, the most careful one counts.
		"""
		actions = {action for name, action in self.methods if is_named(method, name)}
		action = next((action for action in CAREFUL if action in actions), asked)
		if action == REQUEUE and interruptions >= self.max_attempts:
			return HOLD, 0
		if action != REQUEUE:
			return action, 0
		delays = self.delays_seconds or (0,)
		delay = delays[min(interruptions, len(delays)) - 1]
		return (DELAY, delay * (1 + JITTER * random_number())) if delay else (REQUEUE, 0)


def of_bench(bench: Bench) -> Policy:
	"""The policy of a bench: from the settings max_attempts, retry_delays_seconds and job_policy, and from the hook
	`safe_restart_job_policy` of the apps, which the settings override. Raises Refused for settings that are wrong."""
	settings = bench.settings
	methods = {**from_apps(bench), **settings.job_policy}
	return Policy(settings.max_attempts, settings.retry_delays_seconds, tuple(sorted(methods.items())))


def from_apps(bench: Bench) -> dict[str, str]:
	"""The actions by method that the apps' hooks name; what is not a known action is left out."""
	return {
		method: action
		for method, action in app_hooks.job_policies(bench).items()
		if isinstance(method, str) and action in INTERRUPTED_CHOICES
	}
