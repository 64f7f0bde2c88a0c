"""Which sites may ask for restarts, and the jobs of which sites they may see."""

import re
from dataclasses import dataclass
from typing import Any

from ..core.bench import Bench
from ..core.errors import Refused


@dataclass(frozen=True)
class SiteVisibility:
	"""The site whose jobs a person may see, None for all sites; `others` are the bench's other sites."""

	site: str | None
	others: tuple[str, ...] = ()

	def covers(self, site: str) -> bool:
		"""Whether the jobs of this site may be seen."""
		return self.site is None or site == self.site

	def of_job(self, job: dict[str, Any] | None) -> dict[str, Any] | None:
		"""The job of a worker, as JSON, without what this person may not see."""
		if job is None or self.covers(job["site"]):
			return job
		return {"hidden": True, "age_seconds": job["age_seconds"], "seconds_left": job["seconds_left"]}

	def of_plan(self, plan: dict[str, Any]) -> dict[str, Any]:
		"""A preview, as JSON, with the fates of the jobs that may be seen and the number of the others."""
		mine = [fate for fate in plan["running"] if self.covers(fate["site"])]
		return {**plan, "running": mine, "running_elsewhere": len(plan["running"]) - len(mine)}

	def of_text(self, text: str) -> str:
		"""A sentence without the jobs of other sites: it names a job as `method (site)`, or by an id that has the site."""
		for site in self.others:
			name = re.escape(site)
			text = re.sub(rf"[\w.]+ \({name}\)|\S*{name}\S*", "another site's", text)
		return text


def is_site_allowed(bench: Bench, site: str) -> bool:
	"""Whether a site may ask for restarts: the only site of a bench, or one that the bench's administrator named in
	common_site_config.json, `safe_restart: {"sites": […]}`."""
	return bench.sites == (site,) or site in bench.settings.sites


def visibility_of(bench: Bench, site: str) -> SiteVisibility:
	"""What the administrators of a site may see. Raises Refused where the site may not ask for restarts."""
	if not is_site_allowed(bench, site):
		raise Refused(
			f"Site {site} may not ask for restarts of this bench, which has {len(bench.sites)} sites. Nothing was touched. "
			'The administrator of the bench can allow it in sites/common_site_config.json: "safe_restart": '
			f'{{"sites": ["{site}"]}}.'
		)
	others = tuple(other for other in bench.sites if other != site)
	return SiteVisibility(site, others) if others else SiteVisibility(None)
