"""Tells browsers through Frappe's realtime channel that a request has moved on; a page then asks for the
details."""

import json
import time

from redis import Redis
from redis.exceptions import RedisError

from ..core.bench import Bench
from ..sites.visibility import is_site_allowed

EVENT = "safe_restart"
# frappe.realtime.emit_via_redis and realtime/index.js (15 and 16): JSON on this channel; the room `all` is
# every desk user of a site.
CHANNEL, ROOM = "events", "all"
QUIET_SECONDS = 10  # after a failure: a Redis that hangs then costs one timeout, not one for each step


class Announcer:
	"""Announces requests on the sites that may ask for restarts.

	Never raises: a page that misses a message polls.
	"""

	def __init__(self, bench: Bench, redis: Redis):
		self.redis = redis
		self.sites = [site for site in bench.sites if is_site_allowed(bench, site)]
		self.quiet_until = 0.0

	def say(self, request_id: str, status: str, step: str = "") -> None:
		"""Announce the status of a request, and the step that begins."""
		if time.monotonic() < self.quiet_until:
			return
		message = {"request": request_id, "status": status, "step": step}
		try:
			for site in self.sites:
				event = {"event": EVENT, "message": message, "room": ROOM, "namespace": site}
				self.redis.publish(CHANNEL, json.dumps(event))
		except (RedisError, OSError):
			self.quiet_until = time.monotonic() + QUIET_SECONDS
