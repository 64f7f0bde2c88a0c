"""The benches in miniature that are measured, under either manager."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from safe_restart.demo.bench import DemoBench
from tests.systemd.fixture import SystemdBench, why_not

SUPERVISOR, SYSTEMD = "supervisor", "systemd"


@contextmanager
def bench_under(manager: str, **kwargs) -> Iterator[DemoBench]:
	"""A fresh bench; meanwhile our environment tells all command lines where its systemd is."""
	bench = {SUPERVISOR: DemoBench, SYSTEMD: SystemdBench}[manager](**kwargs)
	before = dict(os.environ)
	os.environ.update(getattr(bench, "address", {}))
	try:
		with bench:
			yield bench
	finally:
		os.environ.clear()
		os.environ.update(before)


def why_not_under(manager: str) -> str:
	"""Why nothing can be measured there on this machine; empty where it can."""
	return why_not() if manager == SYSTEMD else ""
