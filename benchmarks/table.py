"""From runs to medians, ratios and a table of plain text."""

from statistics import median

from .methods import BASE, HOSTS_BASE, SYSTEMD_BASE

SECONDS = {
	"wall": "command",
	"whole": "whole again",
	"web_outage": "web away",
	"no_worker": "no worker",
	"next_job": "next job",
	"pause": "no job begins",
}
COUNTS = {
	"jobs": "jobs",
	"interrupted": "interrupted",
	"lost": "lost",
	"run_twice": "run twice",
	"failed": "failed",
	"unaccounted": "unaccounted",
	"orphans": "orphans",
}
TITLES = {
	"idle": "Idle: nothing runs. Medians of {runs}",
	"busy": "Busy: 3 jobs of 8 s run and 200 short ones wait. Medians of {runs}, counts of all",
	"systemd": "Busy under systemd: 3 jobs of 8 s run and 200 short ones wait; bench's unchanged units. Medians of {runs}, "
	"counts of all",
	"hosts": "Three hosts of four workers, 5 ms jobs all the time: {restarts} restarts, {stops} workers stopped. Medians and "
	"counts of the restarts",
	"stream": "Stream: 5 ms jobs all the time, {restarts} restarts, {stops} workers stopped. Medians and counts of the restarts",
}
LEGEND = {
	"wall": "until the command returns",
	"whole": "until every worker is new and takes jobs, and the web answers",
	"web_outage": "seconds in which the web did not answer 200",
	"no_worker": "longest time in which no worker would take another job",
	"next_job": "from the end of the last long job to the first new job; – where all had begun before",
	"pause": "longest time in which no job began",
	"interrupted": "begun and not ended, or killed",
	"lost": "never begun and in no queue after 60 s",
	"run_twice": "ended more than once",
	"failed": "RQ says failed, whether or not the work was done",
	"unaccounted": "done, but RQ says started",
	"orphans": "work-horses that run on with old code and no worker, once the bench is whole",
}


BASES = (BASE, SYSTEMD_BASE, HOSTS_BASE)


def base_of(measured: dict[str, object]) -> str:
	"""The method that all others of a scenario are compared with."""
	return next(base for base in BASES if base in measured)


def summarize(raw: dict[str, list[dict]]) -> dict[str, dict]:
	"""By method: its runs, the medians of seconds, the totals of counts, and medians as ratios to those of the base."""
	summary = {}
	for method, runs in raw.items():
		seconds = {key: middle([run[key] for run in runs]) for key in SECONDS if key in runs[0]}
		counts = {key: sum(run[key] for run in runs) for key in COUNTS if key in runs[0]}
		summary[method] = {"seconds": seconds, "counts": counts, "runs": runs}
	base = summary[base_of(summary)]["seconds"]
	for one in summary.values():
		one["ratios"] = {key: ratio(value, base[key]) for key, value in one["seconds"].items()}
	return summary


def middle(values: list[float | None]) -> float | None:
	"""The median of the values that are there; None where there is none."""
	there = [value for value in values if value is not None]
	return round(median(there), 3) if there else None


def ratio(value: float | None, base: float | None) -> float | None:
	return round(value / base, 3) if value is not None and base else None


def render(scenario: str, summary: dict[str, dict], runs: int, restarts: int) -> str:
	"""A title, the table, and whatever went wrong."""
	first = summary[base_of(summary)]
	stops = first["runs"][0].get("worker_stops")
	columns = [key for key in (*SECONDS, *COUNTS) if key in first["seconds"] or key in first["counts"]]
	rows = [["", *((SECONDS | COUNTS)[key] for key in columns)]]
	rows += [[method, *(cell(one, key) for key in columns)] for method, one in summary.items()]
	title = TITLES[scenario].format(runs=runs, restarts=restarts, stops=stops)
	return "\n".join([f"{title}.", "", *align(rows), *problems(summary)])


def legend() -> str:
	"""What the columns mean."""
	lines = [f"{name}: {LEGEND[key]}" for key, name in (SECONDS | COUNTS).items() if key in LEGEND]
	return "\n".join([f"In brackets: the ratio to {' or '.join(f'`{base}`' for base in BASES)}.", *lines])


def cell(one: dict, key: str) -> str:
	if key in one["counts"]:
		return str(one["counts"][key])
	value, ratio = one["seconds"][key], one["ratios"][key]
	if value is None:
		return "–"
	return f"{value:.2f} s" + (f" [{ratio:4.2f}]" if ratio is not None else "")


def align(rows: list[list[str]]) -> list[str]:
	"""The first column to the left, all others to the right."""
	widths = [max(map(len, column)) for column in zip(*rows)]
	return [
		"  ".join([row[0].ljust(widths[0]), *(text.rjust(width) for text, width in zip(row[1:], widths[1:]))])
		for row in rows
	]


def problems(summary: dict[str, dict]) -> list[str]:
	return [
		f"! {method}: {text}"
		for method, one in summary.items()
		for run in one["runs"]
		for text in run["problems"]
	]
