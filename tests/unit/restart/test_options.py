"""One table of options: everybody who offers, shows or keeps an option is held to it."""

import json
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_restart.commands import safe_restart
from safe_restart.commands.options import options_typed
from safe_restart.engine.core.bench import Bench
from safe_restart.engine.core.errors import Refused
from safe_restart.engine.core.settings import Settings
from safe_restart.engine.processes.classify import KINDS
from safe_restart.engine.restart.options import (
	COMMAND_LINE,
	DESK,
	SETTINGS,
	TABLE,
	Options,
	defaults_of,
	settable_by,
)
from tests.unit.generated import JSON, options

PACKAGE = Path(__file__).parents[3] / "safe_restart"
DOCTYPES = PACKAGE / "safe_restart/doctype"
FIELD_TYPES = {"seconds": "Float", "flag": "Check", "choice": "Select", "names": "Data"}
# Frappe's numbers cannot be empty, where empty is a value of its own.
EMPTY_IS_A_VALUE = "Data"
FIELD_NAMES = {"only": "services"}


def fields_of(doctype: str) -> dict[str, dict]:
	found = json.loads((DOCTYPES / doctype / f"{doctype}.json").read_text())
	return {field["fieldname"]: field for field in found["fields"]}


def flags_of(command: click.Command) -> dict[str, str]:
	return {one.name: one.opts[0] for one in command.params if one.name in TABLE}


def test_every_row_has_a_default_that_it_takes_itself_and_a_help_text():
	assert Options() == Options.from_dict({name: row.default for name, row in TABLE.items()})
	assert all(
		row.help.endswith(".") and row.may_set <= {COMMAND_LINE, DESK, SETTINGS} for row in TABLE.values()
	)


def test_the_command_line_has_the_flags_of_the_table_and_no_other_name_for_one():
	assert flags_of(safe_restart) == {row.name: row.flag for row in settable_by(COMMAND_LINE)}
	drain = flags_of(safe_restart.commands["drain"])
	assert drain == {name: TABLE[name].flag for name in ("hold_seconds", "wait_workers_timeout")}


@pytest.mark.parametrize("row", settable_by(DESK), ids=lambda row: row.name)
def test_a_restart_request_has_a_field_of_the_right_type_for_what_the_desk_may_set(row):
	field = fields_of("restart_request")[FIELD_NAMES.get(row.name, row.name)]
	assert field["fieldtype"] == (EMPTY_IS_A_VALUE if row.may_be_none else FIELD_TYPES[row.kind])
	if row.kind == "choice":
		assert tuple(filter(None, field["options"].split("\n"))) == row.choices


@pytest.mark.parametrize("row", settable_by(SETTINGS), ids=lambda row: row.name)
def test_the_settings_show_the_default_of_the_table(row):
	field = fields_of("safe_restart_settings")[row.name]
	assert field["fieldtype"] == (EMPTY_IS_A_VALUE if row.may_be_none else FIELD_TYPES[row.kind])
	shown = "" if row.default is None else f"{row.default:g}" if row.kind == "seconds" else row.default
	assert field.get("default", "") == shown
	if row.kind == "choice":
		assert tuple(field["options"].split("\n")) == row.choices


def test_the_dialog_is_sent_each_row_as_json_can_hold_it():
	for row in settable_by(DESK):
		sent = row.as_json()
		assert json.loads(json.dumps(sent)) == sent and sent["help"]


def test_the_settings_decide_for_the_command_line_where_nothing_was_typed():
	defaults = {"wait_workers_timeout": 90, "interrupted": "hold", "force_kill_timeout": 5, "strategy": "now"}
	bench = Bench(Path("/nowhere"), {"safe_restart": {"defaults": defaults}})
	typed = options_typed(
		bench, {"wait_workers_timeout": None, "interrupted": "fail", "only": " web, workers "}
	)
	assert (typed.wait_workers_timeout, typed.interrupted, typed.force_kill_timeout) == (90, "fail", 5)
	assert typed.only == ("web", "workers")
	assert options_typed(Bench(Path("/nowhere"), {}), {}) == Options()


def test_a_setting_that_an_option_cannot_be_is_refused_with_its_file():
	bench = Bench(Path("/nowhere"), {"safe_restart": {"defaults": {"migrate_timeout": "soon"}}})
	with pytest.raises(
		Refused, match=r"common_site_config.json.*--migrate-timeout must be a number of seconds"
	):
		defaults_of(bench)


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row.kind == "flag"])
@pytest.mark.parametrize("value", [1, "true", None])
def test_a_flag_is_true_or_false_and_nothing_else(name, value):
	with pytest.raises(Refused, match=f"{TABLE[name].flag} is set or not"):
		Options.from_dict({name: value})


@pytest.mark.parametrize(
	("settings", "says"),
	[
		({"process_manager": "upstart"}, "supervisor, systemd, foreground or containers"),
		({"supervisor_socket": 7}, "path or URL"),
		({"container_return_seconds": 0}, "up to 3600"),
		({"container_return_seconds": True}, "up to 3600"),
		({"sites": "one"}, "a list of sites"),
		({"max_attempts": True}, "a number from 1"),
		({"defaults": []}, "options with their values"),
		([], "must hold a JSON object"),
	],
)
def test_a_setting_of_the_wrong_kind_is_refused_in_a_sentence(settings, says):
	with pytest.raises(Refused, match=says) as refused:
		_ = Bench(Path("/nowhere"), {"safe_restart": settings or [0]}).settings
	assert "Nothing was touched" in str(refused.value)


def test_nothing_is_as_if_it_did_not_stand_there():
	assert (
		Bench(Path("/nowhere"), {"safe_restart": {"max_attempts": None, "unknown": 1}}).settings == Settings()
	)


@given(options)
def test_what_was_chosen_is_read_back_from_the_journal_as_it_was_written(options):
	assert Options.from_dict(options.as_dict()) == options
	assert Options.from_dict(json.loads(json.dumps(options.as_dict()))) == options


@given(st.dictionaries(st.sampled_from(list(Options().as_dict())) | st.text(max_size=3), JSON, max_size=3))
def test_whatever_stands_in_the_journal_is_refused_in_a_sentence_or_has_a_meaning(values):
	try:
		read = Options.from_dict(values)
	except Refused as refused:
		assert "Nothing was touched" in str(refused)
		return
	assert {*read.only} <= {*KINDS} and all(isinstance(site, str) for site in read.sites)
	assert isinstance(read.migrate, bool) and isinstance(read.wait_workers_verbose, bool)
	for seconds in (read.wait_workers_timeout, read.hold_seconds, read.migrate_timeout):
		assert 0 <= float(seconds) < float("inf")
