// Workers, with the job each has.

import { h } from "./dom.js";
import { bar, card, cell, link_or_text, pill, table } from "./elements.js";
import { attempts_text, duration, status_text, tone_of } from "./format.js";

const NEARLY_OVER = 0.8;

export function workers_card(tools, { workers }) {
	const { __ } = tools;
	const heads = [__("Worker"), __("State"), __("Job"), __("Runs for"), __("Time left")];
	const all = link_or_text(tools, "all-workers", null, __("{0} in all", [workers.length]));
	const rows = [...workers].sort(busiest_first).map((worker) => row(tools, worker));
	const content = workers.length
		? table(__("Workers and their jobs"), heads, rows, {
				tabindex: "0",
				role: "region",
				"aria-label": __("Workers and their jobs"),
			})
		: h("p", { class: "sr-none" }, __("No worker is registered."));
	return card("workers", __("Workers"), h("span", { class: "sr-aside" }, all), content);
}

function busiest_first(one, other) {
	// Ages are samples of one moment, so jobs that began one after another keep their order from poll to poll.
	return job_age_seconds(other) - job_age_seconds(one) || (one.name < other.name ? -1 : 1);
}

function job_age_seconds({ job }) {
	return job ? job.age_seconds : -1;
}

function row(tools, worker) {
	const { __ } = tools;
	const { job } = worker;
	return h(
		"tr",
		{ key: worker.name, class: job ? "" : "sr-idle" },
		cell(
			__("Worker"),
			{ class: "sr-two" },
			link_or_text(tools, "worker", worker.name, `pid ${worker.pid}`),
			h("small", null, [...worker.queues, worker.hostname].filter(Boolean).join(" · "))
		),
		cell(
			__("State"),
			null,
			pill(tone_of(worker.state), status_text(__, worker.state)),
			leaving_text(__, worker)
		),
		cell(
			__("Job"),
			{ class: "sr-two sr-job" },
			job ? job_text(tools, job) : h("span", { class: "sr-muted" }, "–")
		),
		cell(__("Runs for"), { class: "sr-number" }, job ? duration(__, job.age_seconds) : ""),
		cell(__("Time left"), { class: "sr-left" }, job ? time_left_bar(__, job) : "")
	);
}

function leaving_text(__, worker) {
	return worker.leaves_after_job && h("small", null, __("leaves after this job"));
}

function job_text(tools, job) {
	const { __ } = tools;
	if (job.hidden) return h("span", { class: "sr-muted" }, __("A job of another site"));
	return [
		link_or_text(tools, "job", job.id, h("code", null, job.method)),
		h("small", null, [job.site, job.user, attempts_text(__, job.attempts)].filter(Boolean).join(" · ")),
	];
}

function time_left_bar(__, { age_seconds, seconds_left }) {
	if (seconds_left === null || seconds_left === undefined) return h("small", null, __("no time limit"));
	if (seconds_left <= 0) return h("small", { class: "sr-text-red" }, __("past its time limit"));
	const part = age_seconds / (age_seconds + seconds_left);
	const label = __("at most {0} more", [duration(__, seconds_left)]);
	return [
		bar(part, part > NEARLY_OVER ? "orange" : "blue", label),
		h("small", null, duration(__, seconds_left)),
	];
}
