"""The one place where the benches of the tests are made and ended; the fixtures are in the conftest.py files."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from safe_restart.demo.bench import DemoBench

# A worker that was alive when a restart began is old; boot times are short, as nothing here depends on them.
BOOT_SECONDS = 0.3

MakeBench = Callable[..., Any]


@contextmanager
def bench_factory() -> Iterator[MakeBench]:
	"""Gives a function that starts benches, which end with the context."""
	made: list[DemoBench] = []

	def make_bench(
		kind: type[DemoBench] = DemoBench,
		before_start: Callable[[DemoBench], None] | None = None,
		**options: Any,
	) -> DemoBench:
		"""A bench that is up. `before_start` may change its files once they are written; `options` are those of `kind`."""
		bench = kind(**{"boot_seconds": BOOT_SECONDS, **options})
		made.append(bench)
		bench.write()
		if before_start:
			before_start(bench)
		bench.start()
		if bench.has_setup_web:
			bench.setup_web()
		return bench

	try:
		yield make_bench
	finally:
		for bench in made:
			bench.end()
