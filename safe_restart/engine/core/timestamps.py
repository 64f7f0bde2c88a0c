"""Timestamps: UTC in ISO 8601 with milliseconds, as the journal keeps them."""

from datetime import datetime, timezone


def utc_now() -> str:
	"""The present time, such as 2026-11-21T22:53:16.123Z."""
	return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_between(start: str | None, end: str | None) -> float:
	"""Seconds from one timestamp to another, or to now where `end` is None.

	0 without a start, and where the clock was set back in between.
	"""
	if not start:
		return 0.0
	return max(0.0, ((parse(end) if end else datetime.now(timezone.utc)) - parse(start)).total_seconds())


def parse(timestamp: str) -> datetime:
	"""Read a timestamp that `utc_now` wrote. Python itself reads the Z only from 3.11 on."""
	return datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
