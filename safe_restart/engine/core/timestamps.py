"""Timestamps: UTC in ISO 8601 with milliseconds, as the journal keeps them."""

from datetime import datetime, timezone


def utc_now() -> str:
	return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_between(start: str | None, end: str | None) -> float:
	"""Seconds from one timestamp to another; to now where the end is still open, 0 without a start, or where the clock was
	set back in between."""
	if not start:
		return 0.0
	return max(0.0, ((parse(end) if end else datetime.now(timezone.utc)) - parse(start)).total_seconds())


def parse(timestamp: str) -> datetime:
	"""A timestamp as `utc_now` writes it; Python reads the Z only from 3.11 on."""
	return datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
