"""From runs to medians, ratios and a table of plain text."""

from statistics import median

from .methods import BASE

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
}
TITLES = {
	"idle": "Idle: nothing runs. Medians of {runs}",
	"busy": "Busy: 3 jobs of 8 s run and 200 short ones wait. Medians of {runs}; jobs are counted over all runs",
	"stream": "Stream: 5 ms jobs all the time, {restarts} restarts, {stops} workers stopped. Medians of the restarts",
}
LEGEND = {
	"wall": "until the command returns",
	"whole": "until every worker is new and takes jobs, and the web answers",
	"web_outage": "seconds in which the web did not answer 200",
	"no_worker": "longest time in which no worker would take another job",
	"next_job": "from the end of the last long job to the first new job",
	"pause": "longest time in which no job began",
	"interrupted": "begun and not ended, or killed",
	"lost": "never begun and in no queue after 60 s",
	"unaccounted": "done, but RQ says started",
}
GOOD_EXIT_CODES = (0, 6)  # 6: completed with warnings, as where jobs still run on old code


def summarize(raw: dict[str, list[dict]]) -> dict[str, dict]:
	"""By method: its runs, the medians of seconds, the totals of counts, and medians as ratios to BASE's."""
	summary = {}
	for method, runs in raw.items():
		seconds = {key: middle([run[key] for run in runs]) for key in SECONDS if key in runs[0]}
		counts = {key: sum(run[key] for run in runs) for key in COUNTS if key in runs[0]}
		summary[method] = {"seconds": seconds, "counts": counts, "runs": runs}
	base = summary[BASE]["seconds"]
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
	"""A title, the table, what its columns mean, and every command that failed."""
	first = summary[BASE]
	stops = first["runs"][0].get("worker_stops")
	columns = [key for key in (*SECONDS, *COUNTS) if key in first["seconds"] or key in first["counts"]]
	rows = [["", *((SECONDS | COUNTS)[key] for key in columns)]]
	rows += [[method, *(cell(one, key) for key in columns)] for method, one in summary.items()]
	title = TITLES[scenario].format(runs=runs, restarts=restarts, stops=stops)
	legend = [f"  {(SECONDS | COUNTS)[key]}: {LEGEND[key]}" for key in columns if key in LEGEND]
	lines = [f"{title}; in brackets the ratio to `{BASE}`.", "", *align(rows), "", *legend]
	return "\n".join(lines + [f"  {line}" for line in failures(summary)])


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


def failures(summary: dict[str, dict]) -> list[str]:
	bad = {
		method: [code for run in one["runs"] for code in run["exit_codes"] if code not in GOOD_EXIT_CODES]
		for method, one in summary.items()
	}
	return [
		f"{method} exited with {codes}: its figures mean little." for method, codes in bad.items() if codes
	]
