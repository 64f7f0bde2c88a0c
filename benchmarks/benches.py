"""The benches in miniature that are measured, under each manager."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from safe_restart.demo.bench import DemoBench, Workers
from tests.support import hosts
from tests.support.hosts import Hosts
from tests.support.systemd import SystemdBench, why_not

SUPERVISOR, SYSTEMD, HOSTS = "supervisor", "systemd", "hosts"


def three_hosts() -> Hosts:
	"""With four workers on each."""
	return Hosts(workers=(Workers(count=4),))


BENCHES = {SUPERVISOR: DemoBench, SYSTEMD: SystemdBench, HOSTS: three_hosts}


@contextmanager
def bench_under(manager: str, **kwargs) -> Iterator[DemoBench]:
	"""A fresh bench; meanwhile our environment tells all command lines where its systemd is."""
	bench = BENCHES[manager](**kwargs)
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
	return {SYSTEMD: why_not, HOSTS: hosts.why_not}.get(manager, str)()
