"""A bench as its configuration has it."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from safe_restart.engine.core.bench import load
from safe_restart.engine.core.errors import Refused
from safe_restart.engine.rq import client_list
from tests.unit.builders import BENCH


def test_a_jobs_site_is_its_whole_prefix():
	assert BENCH.site_of_job("site1::abc::def") == "site1"
	assert BENCH.site_of_job("site10||abc") == "site10"
	assert BENCH.site_of_job("c0ffee") == ""


def test_custom_queues_have_their_timeouts_and_standard_ones_theirs():
	assert BENCH.queue_timeouts_seconds == {"short": 300, "default": 300, "long": 1500, "reports": 3000}
	assert BENCH.bench_id == "home-frappe-bench"


names = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,20}", fullmatch=True)


@given(names, st.sampled_from(["::", "||"]), st.text(st.characters(codec="ascii"), min_size=1))
@example("site1", "::", "site10||1")
@example("site10", "||", "site1::1")
def test_a_job_belongs_to_the_site_whose_whole_name_is_its_prefix(site, separator, rest):
	assert BENCH.site_of_job(f"{site}{separator}{rest}") == site


@given(st.text())
@example("127.0.0.1:²")
def test_any_job_id_and_any_address_can_be_read(text):
	assert isinstance(BENCH.site_of_job(text), str)
	host, port = client_list.port_key(text)
	assert isinstance(host, str) and port >= 0


@pytest.mark.parametrize("workers", [["reports"], {"reports": {"timeout": "an hour"}}, {"reports": 3000}])
def test_options_of_queues_that_mean_nothing_are_refused_before_anything_is_touched(tmp_path, workers):
	(tmp_path / "sites").mkdir()
	(tmp_path / "sites/common_site_config.json").write_text(json.dumps({"workers": workers}))
	with pytest.raises(Refused, match="Nothing was touched"):
		load(tmp_path)
