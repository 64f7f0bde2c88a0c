"""Benches that lie on disk only."""

from collections.abc import Iterator

import pytest

from safe_restart.demo.app import SITE
from safe_restart.demo.bench import DemoBench
from safe_restart.engine.core.bench import Bench
from tests.support.sites import OTHER_SITE, SECRETS, config_path, write_as_frappe


@pytest.fixture
def laid_out() -> Iterator[DemoBench]:
	"""A bench with two sites; nothing of it runs."""
	demo = DemoBench()
	demo.write()
	for site in (SITE, OTHER_SITE):
		(demo.path / "sites" / site).mkdir(exist_ok=True)
		write_as_frappe(config_path(demo, site), SECRETS)
	yield demo
	demo.end()


@pytest.fixture
def bench(laid_out) -> Bench:
	return laid_out.bench
