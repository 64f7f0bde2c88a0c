// One restart: its steps as they are planned and done, its report, and its log.

import { h } from "./dom.js";
import { card, cell, link_or_text, local_time, pill, table } from "./elements.js";
import { duration, pluralize, status_text, step_text, tone_of } from "./format.js";

export function restart_card(tools, { progress, events, is_cancelling }, { cancel }) {
	const { __ } = tools;
	if (!progress) return null;
	const title = progress.is_open ? __("Restart under way") : __("Last restart");
	const cancel_button = {
		type: "button",
		class: "sr-button",
		disabled: is_cancelling,
		on: { click: () => cancel(progress.request) },
	};
	const aside = h(
		"span",
		{ class: "sr-aside" },
		progress.can_cancel
			? h("button", cancel_button, is_cancelling ? __("Cancelling …") : __("Cancel the restart"))
			: null,
		pill(tone_of(progress.status), status_text(__, progress.status))
	);
	return card(
		"restart",
		title,
		aside,
		facts(tools, progress),
		report(tools, progress),
		event_log(__, events)
	);
}

function facts(tools, { request, strategy, requested_by, reason, started_at, seconds }) {
	const { __ } = tools;
	return h(
		"p",
		{ class: "sr-facts" },
		h("span", null, __("{0}, by {1}", [strategy, requested_by])),
		started_at ? local_time(started_at) : null,
		started_at ? h("span", { class: "sr-number" }, duration(__, seconds || 0)) : null,
		link_or_text(tools, "request", request, request),
		reason ? h("q", null, reason) : null
	);
}

/** Outcome, warnings, steps, figures and affected jobs; the history shows the same. */
export function report(tools, progress) {
	const { __ } = tools;
	return [
		progress.outcome ? h("p", { key: "outcome", class: "sr-outcome" }, progress.outcome) : null,
		progress.warnings.length
			? h(
					"ul",
					{ key: "warnings", class: "sr-warnings" },
					progress.warnings.map((warning) => h("li", null, warning))
				)
			: null,
		timeline(__, progress),
		progress.is_open && progress.status !== "watching" ? null : figures(__, progress),
		affected_jobs(tools, progress),
	];
}

function timeline(__, { planned_steps, steps, is_open }) {
	const done = steps.filter((step) => step.status !== "running").length;
	const begun = new Map(steps.map((step) => [step.name, step]));
	// A step that was not planned, such as those of watching the last jobs, comes at the end, where it happened.
	const rows = planned_steps.map((name) => [name, begun.get(name)]);
	for (const step of steps) if (!planned_steps.includes(step.name)) rows.push([step.name, step]);
	const progress = {
		role: "progressbar",
		"aria-valuemin": 0,
		"aria-valuemax": rows.length,
		"aria-valuenow": done,
	};
	return [
		is_open
			? h(
					"div",
					{ key: "bar", class: "sr-bar sr-blue", "aria-label": __("Steps done"), ...progress },
					h("span", { style: { width: `${(100 * done) / (rows.length || 1)}%` } })
				)
			: null,
		h(
			"ol",
			{ key: "steps", class: "sr-steps", "aria-label": __("Steps") },
			rows.map(([name, step]) => step_row(__, name, step, is_open))
		),
	];
}

function step_row(__, name, step, is_open) {
	const state = step ? step.status : is_open ? "ahead" : "skipped";
	const states = {
		done: __("done"),
		running: __("running"),
		failed: __("failed"),
		ahead: __("ahead"),
		skipped: __("not reached"),
	};
	return h(
		"li",
		{ key: name, class: `sr-step sr-step-${state}` },
		h(
			"span",
			{ class: "sr-step-name" },
			step_text(__, name),
			h("span", { class: "sr-unseen" }, `: ${states[state]}`)
		),
		h(
			"span",
			{ class: "sr-number" },
			step ? duration(__, step.seconds || 0) : state === "skipped" ? states.skipped : ""
		),
		step && step.detail ? h("small", null, step.detail) : null
	);
}

function figures(__, { jobs, workers, web }) {
	const outage = web.checked ? duration(__, web.outage_ms / 1000) : __("not checked");
	const entries = [
		[
			__("Workers replaced"),
			__("{0} of {1}", [workers.replaced, workers.before]),
			workers.still_old && "orange",
		],
		[__("Jobs finished"), jobs.finished_during],
		[__("Interrupted"), jobs.interrupted, jobs.interrupted && "orange"],
		[__("Queued again"), jobs.requeued],
		[__("Queued again after a pause"), jobs.delayed || 0],
		[__("Held"), jobs.held, jobs.held && "orange"],
		[__("Lost and found"), jobs.lost_and_found],
		[__("Still on old code"), workers.still_old, workers.still_old && "orange"],
		[__("Web away"), outage],
	];
	return h(
		"dl",
		{ class: "sr-figures" },
		entries.map(([name, value, tone]) =>
			h(
				"div",
				{ key: name },
				h("dt", null, name),
				h("dd", { class: tone ? `sr-text-${tone}` : "" }, value)
			)
		)
	);
}

function affected_jobs(tools, { affected, affected_elsewhere }) {
	const { __ } = tools;
	if (!affected.length && !affected_elsewhere) return null;
	const rows = affected.map((one) =>
		h(
			"tr",
			{ key: one.job },
			cell(
				__("Job"),
				{ class: "sr-two sr-job" },
				link_or_text(tools, "job", one.job, h("code", null, one.method)),
				h("small", null, one.site)
			),
			cell(__("What became of it"), null, h("div", { class: "sr-fate" }, one.fate))
		)
	);
	const count = affected.length + affected_elsewhere;
	const title = pluralize(count, __("What became of 1 job"), __("What became of {0} jobs", [count]));
	return h(
		"details",
		{ key: "affected" },
		h("summary", null, title),
		rows.length
			? table(__("Jobs that this restart affected"), [__("Job"), __("What became of it")], rows)
			: null,
		affected_elsewhere
			? h("p", { class: "sr-none" }, __("{0} of them belong to other sites.", [affected_elsewhere]))
			: null
	);
}

function event_log(__, events) {
	if (!events.length) return null;
	return h(
		"details",
		{ key: "events" },
		h(
			"summary",
			null,
			pluralize(
				events.length,
				__("What it said (1 line)"),
				__("What it said ({0} lines)", [events.length])
			)
		),
		h(
			"ol",
			{ class: "sr-log", tabindex: "0", "aria-label": __("What the restart said") },
			events.map((event) =>
				h(
					"li",
					{ key: event.number, class: `sr-${event.kind}` },
					local_time(event.at),
					" ",
					event.text
				)
			)
		)
	);
}
