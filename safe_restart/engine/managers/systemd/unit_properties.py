"""Reading what systemctl and unit files say about services."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from ...core.bench import Bench
from ...processes.classify import OTHER, belongs_to, kind_of

Properties = dict[str, str]

START_SECONDS = 1  # a process that ends sooner has not started; so supervisor sees it too (startsecs)

STATES = {
	"active": "running",
	"reloading": "running",
	"activating": "starting",
	"deactivating": "stopping",
	"inactive": "stopped",
	"failed": "failed",
	"maintenance": "failed",
}

SPANS_SECONDS = {  # systemd.time(7)
	"y": 31557600,
	"month": 2629800,
	"w": 604800,
	"d": 86400,
	"h": 3600,
	"min": 60,
	"s": 1,
	"ms": 0.001,
	"us": 0.000001,
}
FOR_EVER_SECONDS = 24 * 3600  # so that whatever waits for a stop ends some day


def configured(bench: Bench) -> set[str]:
	"""The units that bench and pilot wrote down in config/systemd, whether systemd knows them or not."""
	names = set()
	for path in (bench.path / "config" / "systemd").glob("*"):
		if path.suffix == ".service" and not path.stem.endswith("@"):
			names.add(path.name)
		elif path.suffix == ".target":
			wanted = re.findall(r"^(?:Wants|Requires)=(.*)$", path.read_text(), re.MULTILINE)
			names |= {name for line in wanted for name in line.split() if name.endswith(".service")}
	return names


def parse(text: str) -> list[Properties]:
	"""What `systemctl show` prints: `Name=value` lines, a blank line between two units."""
	blocks = (block.splitlines() for block in text.strip().split("\n\n"))
	units = [dict(line.split("=", 1) for line in block if "=" in line) for block in blocks]
	return [unit for unit in units if "Id" in unit]


def is_of(bench: Bench, unit: Properties) -> bool:
	return belongs_to(bench, command(unit), unit.get("WorkingDirectory", "").lstrip("!"))


def command(unit: Properties) -> str:
	found = re.search(r"argv\[\]=(.*?) ; (?:ignore_errors|flags)=", unit.get("ExecStart", ""))
	return found.group(1) if found else ""


def kind(unit: Properties) -> str:
	"""A unit that a socket starts and nothing restarts is none of the bench's services, but pilot's admin page, say."""
	is_visitor = ".socket" in unit.get("TriggeredBy", "") and unit["Restart"] == "no"
	return OTHER if is_visitor else kind_of(command(unit))


def state(unit: Properties, age_seconds: float) -> str:
	"""The state in our words; age_seconds is since its process started.

	To systemd a process runs as soon as it is forked, where the unit does not say when it is ready.
	"""
	if unit["SubState"].startswith("auto-restart"):
		return "backoff"
	if unit["ActiveState"] == "active" and unit["Type"] == "simple" and age_seconds < START_SECONDS:
		return "starting"
	return STATES.get(unit["ActiveState"], "failed")


def seconds(span: str) -> int:
	"""Seconds of a time span such as `1min 30s`; `infinity` is very long."""
	if span == "infinity":
		return FOR_EVER_SECONDS
	parts = re.findall(r"([\d.]+)\s*([a-z]+)", span)
	return round(sum(float(number) * SPANS_SECONDS.get(unit, 0) for number, unit in parts))


def log_files(paths: Iterable[str]) -> tuple[str, ...]:
	files: dict[str, str] = {}
	for path in filter(os.path.isfile, paths):
		settings = re.findall(
			r"^(Standard(?:Output|Error))=(.*)$", Path(path).read_text(errors="replace"), re.MULTILINE
		)
		files |= {name: value.strip() for name, value in settings}
	written = (files.get(name, "").partition(":")[2] for name in ("StandardOutput", "StandardError"))
	return tuple(path for path in written if path.startswith("/") and "%" not in path)
