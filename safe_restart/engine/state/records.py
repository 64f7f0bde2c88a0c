"""The records of the journal: requests, steps and events."""

import json
import sqlite3
import uuid
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from typing import Any

from ..core.timestamps import seconds_between

QUEUED, RUNNING, WATCHING = "queued", "running", "watching"
COMPLETED, FAILED, CANCELLED, REFUSED = "completed", "failed", "cancelled", "refused"
NOTE, OUTPUT, ASK = "note", "output", "ask"  # kinds of events
OPEN = (QUEUED, RUNNING, WATCHING)


@dataclass(frozen=True)
class Request:
	"""A restart or drain that was asked for. `state` is what `Journal.remember` wrote, to undo or finish the request.

	outcome: what became of the request, in a sentence
	report: the RestartReport, as JSON
	"""

	id: str
	created_at: str
	strategy: str
	options: dict[str, Any]
	requested_by: str
	reason: str
	status: str
	exit_code: int | None
	outcome: str | None
	started_at: str | None
	finished_at: str | None
	helper_pid: int | None
	cancel_requested: bool
	report: dict[str, Any] | None
	state: dict[str, Any]

	@property
	def is_open(self) -> bool:
		return self.status in OPEN


@dataclass(frozen=True)
class Step:
	"""A step of a request; `status` is doing, done or failed."""

	number: int
	name: str
	status: str
	started_at: str
	finished_at: str | None
	detail: str

	@property
	def seconds(self) -> float:
		"""How long the step took, or has taken so far."""
		return round(seconds_between(self.started_at, self.finished_at), 3)


@dataclass(frozen=True)
class Event:
	"""A message to those who follow a request.

	kind: note, output (a line that a migration wrote) or ask (what a person has to do now)
	"""

	number: int
	at: str
	kind: str
	text: str


def new_id() -> str:
	"""A new id for a request, such as 20261121-225316-1f0a: it sorts by time and is short enough to be typed."""
	return f"{datetime.now(timezone.utc):%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:4]}"


def read_request(row: sqlite3.Row) -> Request:
	"""A request from its row. Columns that a later version of the app has added are not read."""
	values = {field.name: row[field.name] for field in fields(Request)}
	values["options"], values["state"] = json.loads(values["options"]), json.loads(values["state"])
	values["report"] = json.loads(values["report"]) if values["report"] else None
	values["cancel_requested"] = bool(values["cancel_requested"])
	return Request(**values)
