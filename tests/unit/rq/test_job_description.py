"""What a job's description says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rq.utils import get_call_string

from safe_restart.engine.rq import job_description


def described(**arguments) -> str:
	"""A job's description as Frappe makes RQ write it."""
	return get_call_string("frappe.utils.background_jobs.execute_job", (), arguments, max_length=75)


def scheduled(event: str) -> str:
	method = "frappe.core.doctype.scheduled_job_type.scheduled_job_type.run_scheduled_job"
	return described(job_name=method, kwargs={"job_type": event}, method=method, site="a", user="b")


@pytest.mark.parametrize(
	("description", "method"),
	[
		(
			"frappe.utils.background_jobs.execute_job(event=None, method='erpnext.tasks.run', site='a')",
			"erpnext.tasks.run",
		),
		("frappe.utils.background_jobs.execute_job(method=<function build at 0x7f>, site='a')", "build"),
		("shop.orders.ship('42')", "shop.orders.ship"),
		(described(method="shop." + "x" * 80, site="a"), "shop." + "x" * 69 + "..."),
		(scheduled("shop.orders.remind"), "shop.orders.remind"),
		(scheduled("shop." + "x" * 80), "shop." + "x" * 56 + "..."),
		("", ""),
	],
)
def test_a_jobs_method_is_read_from_its_description(description, method):
	assert job_description.method_of(description) == method


names = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,20}", fullmatch=True)
dotted = st.from_regex(r"[a-z_]{1,8}(\.[a-z_]{1,8}){0,3}", fullmatch=True)


@given(st.text() | st.from_regex(r"\w*\(.*(method|site)=['<].*"))
def test_any_description_of_a_job_can_be_read(text):
	assert isinstance(job_description.method_of(text), str)
	assert isinstance(job_description.site_of(text), str)


@given(dotted, names, st.sampled_from(["", "event=None, "]))
def test_method_and_site_are_read_from_a_description_as_frappe_writes_it(method, site, before):
	text = f"frappe.utils.background_jobs.execute_job({before}method={method!r}, site={site!r}, kwargs={{}})"
	assert (job_description.method_of(text), job_description.site_of(text)) == (method, site)
