// The bench in one sentence, and the alerts below that sentence.

import { h } from "./dom.js";
import { duration, pluralize, step_text } from "./format.js";

/** The state of the bench as [tone, sentence]. What matters most comes first. */
export function headline(tools, state) {
	const { __ } = tools;
	const { overview, outage } = state;
	if (outage) return [outage.is_restart ? "blue" : "orange", outage_text(__, outage)];
	if (!overview) return ["gray", __("Looking at the bench …")];
	return (
		restart_headline(__, state) ||
		suspension_headline(__, overview) ||
		services_headline(__, overview) ||
		held_jobs_headline(__, overview) ||
		healthy_headline(__, overview)
	);
}

function restart_headline(__, { overview, progress }) {
	const { abandoned, current } = overview;
	if (abandoned) return ["red", __("A restart was left half done: its helper is gone.")];
	if (!current) return null;
	return ["blue", restart_text(__, progress && progress.is_open ? progress : current)];
}

function suspension_headline(__, overview) {
	const { suspended_by_bench } = overview;
	if (suspended_by_bench) {
		const text = __(
			"Workers take no new jobs: a restart of {0}, on the same Redis, holds the queues. That ends by itself.",
			[suspended_by_bench]
		);
		return ["orange", text];
	}
	if (!is_suspended_by_others(overview)) return null;
	return ["orange", __("Workers take no new jobs: somebody suspended the queues.")];
}

function services_headline(__, { problems, services, workers }) {
	if (problems.length) return ["red", __("The bench needs you.")];
	const down = services.filter((one) => one.state !== "running" && !one.is_intentionally_stopped).length;
	if (down) return ["orange", __("{0} of {1} services do not run.", [down, services.length])];
	return workers.length ? null : ["orange", __("No worker is registered, so no job runs.")];
}

function held_jobs_headline(__, { held_jobs }) {
	const count = held_jobs.filter(({ kind }) => kind === "held").length;
	if (!count) return null;
	const text = pluralize(
		count,
		__("1 interrupted job is held until you decide."),
		__("{0} interrupted jobs are held until you decide.", [count])
	);
	return ["orange", text];
}

function healthy_headline(__, { workers, queues }) {
	const busy = workers.filter((worker) => worker.job).length;
	const waiting = queues.reduce((sum, queue) => sum + queue.depth, 0);
	const jobs = pluralize(waiting, __("1 job waits"), __("{0} jobs wait", [waiting]));
	return ["green", __("All is well. {0} of {1} workers have a job, {2}.", [busy, workers.length, jobs])];
}

function outage_text(__, outage) {
	if (outage.is_migration)
		return __("The site is in maintenance while it is migrated … This page goes on by itself.");
	if (outage.is_restart) return __("The site is restarting … This page goes on by itself.");
	return __("The site does not answer. Asking again …");
}

function restart_text(__, { strategy, status, planned_steps, steps }) {
	if (status === "queued") return __("A restart was asked for and is about to begin.");
	if (status === "watching")
		return __("Restarted. The last jobs finish on the old code, then their workers are replaced.");
	const step = steps[steps.length - 1];
	if (!step) return __("Restarting ({0}) …", [strategy]);
	const total = Math.max(planned_steps.length, steps.length);
	return __("Restarting ({0}), step {1} of {2}: {3}", [
		strategy,
		steps.length,
		total,
		step_text(__, step.name),
	]);
}

function is_suspended_by_others({ suspended_by }) {
	return suspended_by && !suspended_by.startsWith("safe-restart:");
}

/** Problems, a suspension that is not ours, and what the last action answered. */
export function alerts(tools, { overview, notice }, { dismiss }) {
	const { __ } = tools;
	const found = [];
	if (notice) found.push(alert(notice.tone, notice.text, "notice", h("button", close(__, dismiss), "×")));
	if (overview) {
		if (overview.abandoned) {
			const text = __("The next restart ends what was left, or type: bench safe-restart recover");
			found.push(alert("red", text, "abandoned"));
		}
		if (is_suspended_by_others(overview))
			found.push(alert("orange", suspension_text(__, overview), "suspended"));
		for (const problem of overview.problems) found.push(alert("red", problem));
	}
	return found;
}

function suspension_text(__, { suspended_by }) {
	return __(
		"The queues were suspended by {0}, not by a restart. A restart leaves that as it is; running jobs finish, queued ones wait until it is lifted (redis-cli DEL rq:suspended).",
		[suspended_by]
	);
}

function alert(tone, text, key, more) {
	const role = tone === "red" ? "alert" : "status";
	return h("div", { key, class: `sr-alert sr-${tone}`, role }, h("p", null, text), more);
}

function close(__, dismiss) {
	return { class: "sr-close", type: "button", "aria-label": __("Dismiss"), on: { click: dismiss } };
}

/** What is said once the site answers again. */
export function site_back_text(__, seconds) {
	return __("The site is back; it was away for {0}.", [duration(__, seconds)]);
}
