"""What one run does, decided by its sub-seed alone. Pure: no clock, no process, no Redis."""

import random
from dataclasses import dataclass

from safe_restart.engine.restart.strategies import MIGRATING_BESIDE_JOBS_STEPS, MIGRATING_STEPS, STRATEGIES

SUB_SEEDS = 10**8
JOB_SECONDS = (1.0, 3.0)
DELAY_SECONDS = 0.3  # at most, between the moment a step is seen and the fault
INTERRUPTING = ("suspend-rq", "now")


@dataclass(frozen=True)
class Way:
	"""A restart as a person types it; `steps` are those a fault can be injected at."""

	words: tuple[str, ...]
	steps: tuple[str, ...]


def way(strategy: str, *words: str) -> Way:
	flag = () if strategy == "rolling" else (f"--{strategy}",)
	return Way((*flag, *words), STRATEGIES[strategy].steps)


WAYS = {
	"rolling": way("rolling"),
	"rolling-returns": way("rolling", "--wait-workers-timeout", "0.5"),
	"wait-workers": way("wait-workers"),
	"wait-too-short": way("wait-workers", "--wait-workers-timeout", "0.5"),
	"no-wait-workers": Way(("--no-wait-workers",), (*STRATEGIES["no-wait-workers"].steps, "follow")),
	"suspend-rq": way("suspend-rq", "--force-kill-timeout", "1"),
	"now": way("now", "--force-kill-timeout", "1"),
	"migrate": Way(("--migrate",), MIGRATING_STEPS),
	"migrate-beside-jobs": Way(("--migrate", "--allow-running-jobs"), MIGRATING_BESIDE_JOBS_STEPS["rolling"]),
}
MIGRATING = ("migrate", "migrate-beside-jobs")
NOT_MIGRATING = tuple(name for name in WAYS if name not in MIGRATING)
REPLACING = tuple(name for name in NOT_MIGRATING if name != "wait-too-short")
EARLY = ("suspend", "drain")

ENDS = frozenset({0, 3, 6})  # what a restart that nobody disturbs may answer
DIED = ENDS | {1}
REDIS_AWAY = ENDS | {1, 2}


@dataclass(frozen=True)
class Fault:
	"""One kind of fault.

	exits: what the command line may answer, if the fault came before the request had ended
	ways, steps: where it makes sense; none stands for all
	cards: how often it is in the deck that runs are dealt from
	needs_job, needs_web: what the bench must have for the fault to mean anything
	"""

	exits: frozenset[int] = ENDS
	ways: tuple[str, ...] = tuple(WAYS)
	steps: tuple[str, ...] = ()
	cards: int = 2
	needs_job: bool = False
	needs_web: bool = False


FAULTS = {
	"none": Fault(cards=1),
	"helper-kill": Fault(DIED, cards=4),
	"helper-kill-twice": Fault(DIED),
	"helper-and-guard-kill": Fault(DIED, cards=4),
	"helper-term": Fault(ENDS | {1, 5}),
	"guard-term": Fault(ENDS | {1, 5}),
	"helper-freeze-2s": Fault(),
	"helper-freeze-35s": Fault(DIED),
	"cli-kill": Fault(frozenset({-9}), cards=1),
	"cli-int": Fault(ENDS | {1, 5}),
	"cli-hup": Fault(frozenset({-1}), cards=1),
	"redis-kill": Fault(REDIS_AWAY, cards=3),
	"redis-kill-no-data": Fault(REDIS_AWAY, ways=NOT_MIGRATING),
	"redis-away-10s": Fault(REDIS_AWAY),
	"worker-kill": Fault(DIED),
	"worker-and-horse-kill": Fault(DIED, needs_job=True),
	"horse-kill": Fault(DIED, needs_job=True),
	"worker-fatal": Fault(frozenset({1}), REPLACING, EARLY, cards=1),
	"web-broken": Fault(frozenset({1}), REPLACING, EARLY, cards=1, needs_web=True),
	"two-at-once": Fault(),
	"foreign-suspension": Fault(),
	"suspension-deleted": Fault(),
	"supervisord-kill": Fault(cards=6),
	"disk-full": Fault(ENDS | {2}, cards=6),
	"clock-jump": Fault(cards=4),
	"migration-fails": Fault(frozenset({1}), MIGRATING, ("preflight",), cards=1),
	"migration-hangs": Fault(frozenset({1}), MIGRATING, ("preflight",), cards=1),
	"migration-ignores-term": Fault(frozenset({1}), MIGRATING, ("preflight",), cards=1),
}


# Those whose judging knows no single workers; the others would have to look into a pool.
WITH_POOLS = (
	"none",
	"helper-kill",
	"helper-and-guard-kill",
	"supervisord-kill",
	"disk-full",
	"clock-jump",
	"two-at-once",
)


@dataclass(frozen=True)
class Scenario:
	"""One run: the bench and its load, how it is restarted, and what goes wrong when. Times in seconds."""

	sub_seed: int
	fault: str
	strategy: str
	step: str
	delay: float
	has_web: bool
	has_pool: bool
	long_jobs: tuple[float, ...]
	tiny_jobs: int
	trickle_pause: float
	starts_anyway: bool
	is_foreign_first: bool

	@property
	def words(self) -> tuple[str, ...]:
		hangs = self.fault in ("migration-hangs", "migration-ignores-term")
		return WAYS[self.strategy].words + (("--migrate-timeout", "1") if hangs else ())


def scenario(sub_seed: int) -> Scenario:
	"""The run of that number, the same each time."""
	dice = random.Random(sub_seed)
	name = dice.choice(sorted(FAULTS))
	fault = FAULTS[name]
	strategy = dice.choice(fault.ways)
	fewest = int(fault.needs_job or strategy == "wait-too-short")
	return Scenario(
		sub_seed=sub_seed,
		fault=name,
		strategy=strategy,
		step=dice.choice(fault.steps or WAYS[strategy].steps),
		delay=0.0 if fault.steps else dice.choice((0.0, dice.uniform(0, DELAY_SECONDS))),
		has_web=fault.needs_web or dice.random() < 0.5,
		has_pool=name in WITH_POOLS and dice.random() < 0.25,
		long_jobs=tuple(round(dice.uniform(*JOB_SECONDS), 2) for _ in range(dice.randint(fewest, 3))),
		tiny_jobs=dice.randint(0, 10),
		trickle_pause=round(dice.uniform(0.03, 0.2), 3),
		starts_anyway=dice.random() < 0.5,
		is_foreign_first=dice.random() < 0.5,
	)


def deal(seed: int, runs: int) -> list[Scenario]:
	"""So many runs, their faults dealt from a shuffled deck, so that none is left out by chance."""
	dice = random.Random(seed)
	dealt: list[Scenario] = []
	deck: list[str] = []
	while len(dealt) < runs:
		if not deck:
			deck = [name for name, fault in FAULTS.items() for _ in range(fault.cards)]
			dice.shuffle(deck)
		wanted = deck.pop()
		while (found := scenario(dice.randrange(SUB_SEEDS))).fault != wanted:
			pass
		dealt.append(found)
	return dealt
