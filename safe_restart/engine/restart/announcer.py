"""Telling browsers that a request went on, through Frappe's own realtime channel. They ask for the rest themselves."""

import json
import time

from redis import Redis
from redis.exceptions import RedisError

from ..core.bench import Bench
from ..sites.visibility import is_site_allowed

EVENT = "safe_restart"
# frappe.realtime.emit_via_redis and realtime/index.js (15 and 16): JSON on this channel, `all` are a site's desk users.
CHANNEL, ROOM = "events", "all"
QUIET_SECONDS = 10  # a Redis that hangs costs one timeout, not one per step


class Announcer:
	"""Speaks to the sites that may ask for restarts. Never raises: a page that misses it polls."""

	def __init__(self, bench: Bench, redis: Redis):
		self.redis = redis
		self.sites = [site for site in bench.sites if is_site_allowed(bench, site)]
		self.quiet_until = 0.0

	def say(self, request_id: str, status: str, step: str = "") -> None:
		if time.monotonic() < self.quiet_until:
			return
		message = {"request": request_id, "status": status, "step": step}
		try:
			for site in self.sites:
				said = {"event": EVENT, "message": message, "room": ROOM, "namespace": site}
				self.redis.publish(CHANNEL, json.dumps(said))
		except (RedisError, OSError):
			self.quiet_until = time.monotonic() + QUIET_SECONDS
