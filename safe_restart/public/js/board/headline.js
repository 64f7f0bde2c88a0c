// The bench in one sentence, and below it what a person has to know before anything else.

import { h } from "./dom.js";
import { counted, duration, step_text } from "./format.js";

/** The sentence a person came for, with its tone. */
export function headline({ __ }, { overview, progress, away }) {
	if (away) return [away.is_restart ? "blue" : "orange", away_text(__, away)];
	if (!overview) return ["gray", __("Looking at the bench …")];
	const { current, workers, problems } = overview;
	if (overview.abandoned) return ["red", __("A restart was left half done: its helper is gone.")];
	if (current) return ["blue", restart_text(__, progress && progress.is_open ? progress : current)];
	if (overview.suspended_by_bench)
		return [
			"orange",
			__(
				"Workers take no new jobs: a restart of {0}, on the same Redis, holds the queues. That ends by itself.",
				[overview.suspended_by_bench]
			),
		];
	if (is_suspended_by_somebody(overview)) {
		return ["orange", __("Workers take no new jobs: somebody suspended the queues.")];
	}
	if (problems.length) return ["red", __("The bench needs you.")];
	const down = overview.services.filter((one) => one.state !== "running" && !one.is_left_down).length;
	if (down) return ["orange", __("{0} of {1} services do not run.", [down, overview.services.length])];
	if (!workers.length) return ["orange", __("No worker is registered, so no job runs.")];
	const held = overview.set_aside.filter(({ kind }) => kind === "held").length;
	if (held)
		return [
			"orange",
			counted(
				held,
				__("1 interrupted job is held until you decide."),
				__("{0} interrupted jobs are held until you decide.", [held])
			),
		];
	const busy = workers.filter((worker) => worker.job).length;
	const waiting = overview.queues.reduce((sum, queue) => sum + queue.depth, 0);
	const jobs = counted(waiting, __("1 job waits"), __("{0} jobs wait", [waiting]));
	return ["green", __("All is well. {0} of {1} workers have a job, {2}.", [busy, workers.length, jobs])];
}

function away_text(__, away) {
	if (away.is_migration)
		return __("The site is in maintenance while it is migrated … This page goes on by itself.");
	if (away.is_restart) return __("The site is restarting … This page goes on by itself.");
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

function is_suspended_by_somebody({ suspended_by }) {
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
		if (is_suspended_by_somebody(overview))
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
export function back_text(__, seconds) {
	return __("The site is back; it was away for {0}.", [duration(__, seconds)]);
}
