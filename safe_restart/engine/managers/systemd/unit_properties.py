"""Reading the output of systemctl, and unit files."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from ...core.bench import Bench
from ...processes.classify import OTHER, belongs_to, kind_of

Properties = dict[str, str]

START_SECONDS = 1  # a process that ends sooner has not started; the same as supervisor's startsecs

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
FOR_EVER_SECONDS = 24 * 3600  # finite, so that a wait for a stop ends


def configured(bench: Bench) -> set[str]:
	"""The names of the units in the bench's config/systemd, as bench and pilot write them; some may not be loaded."""
	names = set()
	for path in (bench.path / "config" / "systemd").glob("*"):
		if path.suffix == ".service" and not path.stem.endswith("@"):
			names.add(path.name)
		elif path.suffix == ".target":
			wanted = re.findall(r"^(?:Wants|Requires)=(.*)$", path.read_text(), re.MULTILINE)
			names |= {name for line in wanted for name in line.split() if name.endswith(".service")}
	return names


def parse(text: str) -> list[Properties]:
	"""Read what `systemctl show` prints: `Name=value` lines, and a blank line between two units."""
	blocks = (block.splitlines() for block in text.strip().split("\n\n"))
	units = [dict(line.split("=", 1) for line in block if "=" in line) for block in blocks]
	return [unit for unit in units if "Id" in unit]


def is_of(bench: Bench, unit: Properties) -> bool:
	"""Whether a unit belongs to the bench."""
	return belongs_to(bench, command(unit), unit.get("WorkingDirectory", "").lstrip("!"))


def command(unit: Properties) -> str:
	"""The command line that a unit runs; empty where it runs none."""
	found = re.search(r"argv\[\]=(.*?) ; (?:ignore_errors|flags)=", unit.get("ExecStart", ""))
	return found.group(1) if found else ""


def kind(unit: Properties) -> str:
	"""The kind of service that a unit is.

	A unit that a socket starts and nothing restarts is OTHER: it is no service of the bench, but for instance pilot's
	admin page.
	"""
	is_on_demand = ".socket" in unit.get("TriggeredBy", "") and unit["Restart"] == "no"
	return OTHER if is_on_demand else kind_of(command(unit))


def state(unit: Properties, age_seconds: float) -> str:
	"""The state of a service (managers/base.py) that a unit is in.

	For systemd, a process of Type=simple runs as soon as it is forked. Here it is starting for START_SECONDS.

	age_seconds: since the unit's process started
	"""
	if unit["SubState"].startswith("auto-restart"):
		return "backoff"
	if unit["ActiveState"] == "active" and unit["Type"] == "simple" and age_seconds < START_SECONDS:
		return "starting"
	return STATES.get(unit["ActiveState"], "failed")


def seconds(span: str) -> int:
	"""The seconds of a time span such as `1min 30s`; FOR_EVER_SECONDS for `infinity`."""
	if span == "infinity":
		return FOR_EVER_SECONDS
	parts = re.findall(r"([\d.]+)\s*([a-z]+)", span)
	return round(sum(float(number) * SPANS_SECONDS.get(unit, 0) for number, unit in parts))


def log_files(paths: Iterable[str]) -> tuple[str, ...]:
	"""The files to which a unit writes its output, from the paths of its unit file and drop-ins; later ones count."""
	files: dict[str, str] = {}
	for path in filter(os.path.isfile, paths):
		settings = re.findall(
			r"^(Standard(?:Output|Error))=(.*)$", Path(path).read_text(errors="replace"), re.MULTILINE
		)
		files |= {name: value.strip() for name, value in settings}
	written = (files.get(name, "").partition(":")[2] for name in ("StandardOutput", "StandardError"))
	return tuple(path for path in written if path.startswith("/") and "%" not in path)
