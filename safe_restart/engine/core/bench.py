"""A bench: its paths, configuration, sites and queues. Only reads files."""

import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from .errors import Refused
from .settings import Settings, read_settings

# frappe.utils.background_jobs.get_queues_timeout (Frappe 15 to 17)
DEFAULT_JOB_TIMEOUT_SECONDS = 300
STANDARD_QUEUES = {"short": 300, "default": 300, "long": 1500}

CONFIG = "sites/common_site_config.json"

DEFAULT_REDIS_QUEUE = "redis://127.0.0.1:11311"  # what Frappe assumes where nothing is configured
DEFAULT_WEB_PORT = 8000


@dataclass(frozen=True)
class Bench:
	"""A bench on disk. `path` is absolute and resolved; `config` is common_site_config.json."""

	path: Path
	config: dict[str, Any] = field(repr=False, hash=False)

	@cached_property
	def bench_id(self) -> str:
		"""The prefix of this bench's queues (frappe.utils.get_bench_id)."""
		return self.config.get("bench_id") or str(self.path).strip("/").replace("/", "-")

	@cached_property
	def queue_prefix(self) -> str:
		"""Each RQ queue of this bench is named `<bench_id>:<queue>`."""
		return f"{self.bench_id}:"

	@cached_property
	def queue_timeouts_seconds(self) -> dict[str, int]:
		"""Seconds a job may run, by short queue name; custom queues come from the config's `workers`."""
		custom = self.config.get("workers") or {}
		return STANDARD_QUEUES | {
			name: int((options or {}).get("timeout") or DEFAULT_JOB_TIMEOUT_SECONDS)
			for name, options in custom.items()
		}

	@cached_property
	def sites(self) -> tuple[str, ...]:
		"""The names of the bench's sites, in alphabetical order."""
		return tuple(sorted(p.parent.name for p in self.sites_path.glob("*/site_config.json")))

	@property
	def sites_path(self) -> Path:
		return self.path / "sites"

	@property
	def state_path(self) -> Path:
		"""The folder of the journal and the locks. All processes and containers of a bench share `sites/`."""
		return self.sites_path / ".safe-restart"

	@property
	def config_path(self) -> Path:
		return self.path / CONFIG

	@cached_property
	def settings(self) -> Settings:
		"""What the administrator set under `safe_restart` in common_site_config.json. Raises Refused."""
		return read_settings(self.config.get("safe_restart") or {}, self.config_path)

	@property
	def redis_queue_url(self) -> str:
		return self.config.get("redis_queue") or DEFAULT_REDIS_QUEUE

	@property
	def redis_credentials(self) -> tuple[str | None, str | None]:
		"""User name and password for Redis where Frappe's `use_rq_auth` is on; (None, None) where that is off."""
		if not self.config.get("use_rq_auth"):
			return None, None
		return self.config.get("rq_username") or self.bench_id, self.config.get("rq_password")

	@property
	def web_port(self) -> int:
		return int(self.config.get("webserver_port") or DEFAULT_WEB_PORT)

	def short_queue_name(self, queue: str) -> str:
		"""A queue's name without the bench's prefix."""
		return queue.removeprefix(self.queue_prefix)

	def site_of_job(self, job_id: str) -> str:
		"""The site a job id belongs to: `<site>::<id>` in Frappe 15, `<site>||<id>` from 16 on; else empty."""
		match = re.match(r"(.+?)(::|\|\|)", job_id)
		return match.group(1) if match else ""


def load(path: Path | str) -> Bench:
	"""Open the bench in folder `path`.

	Raises Refused where the folder is no bench, or its configuration cannot be read or has a value of a wrong kind.
	"""
	path = Path(path).expanduser().resolve()
	config_path = path / CONFIG
	if not is_bench(path):
		raise Refused(
			f"{path} is not a bench: it has no sites/common_site_config.json. Nothing was touched. "
			"Run this inside a bench, or name one with --bench PATH."
		)
	try:
		config = json.loads(config_path.read_text())
	except PermissionError:
		raise Refused(
			f"{config_path} cannot be read by this user. Nothing was touched. Run this as the bench's owner."
		) from None
	except ValueError as error:
		raise Refused(
			f"{config_path} is not valid JSON ({error}). Nothing was touched. Correct the file and try again."
		) from None
	if not isinstance(config, dict):
		raise Refused(
			f"{config_path} must hold a JSON object. Nothing was touched. Correct the file and try again."
		)
	bench = Bench(path, config)
	check_values(bench)
	return bench


def check_values(bench: Bench) -> None:
	"""Refuse values that would fail in the middle of a restart, before anything is touched."""
	try:
		_ = bench.queue_timeouts_seconds, bench.web_port, bench.settings
	except (ValueError, TypeError, AttributeError, OverflowError) as error:
		raise Refused(
			f"{bench.config_path} has a value of the wrong kind under workers or webserver_port ({error}). "
			"Nothing was touched. Correct the file and try again."
		) from None
	if not re.match(r"(rediss?|unix)://", str(bench.redis_queue_url)):
		raise Refused(
			f"redis_queue in {bench.config_path} is {bench.redis_queue_url!r}, which is no Redis URL such as "
			f"{DEFAULT_REDIS_QUEUE}. Nothing was touched. Correct the file and try again."
		)


def find_bench(start: Path | str) -> Bench:
	"""Open the bench that folder `start` lies in. Raises Refused where there is none."""
	start = Path(start).resolve()
	home = next((folder for folder in (start, *start.parents) if is_bench(folder)), start)
	return load(home)


def is_bench(folder: Path) -> bool:
	"""Whether a folder is a bench: it has a common_site_config.json."""
	return (folder / CONFIG).is_file()
