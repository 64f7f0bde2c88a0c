// Jobs that were interrupted and now wait: for a person, or for their pause to be over.

import { h } from "./dom.js";
import { card, cell, link_or_text, local_time, pill, table } from "./elements.js";
import { attempts_text, duration, status_text, tone_of } from "./format.js";

export function held_jobs_card(tools, { held_jobs, held_jobs_elsewhere }, actions) {
	const { __ } = tools;
	if (!held_jobs.length && !held_jobs_elsewhere) return null;
	const heads = [__("Job"), __("State"), __("Why"), h("span", { class: "sr-unseen" }, __("Decide"))];
	const rows = held_jobs.map((job) => row(tools, job, actions));
	const elsewhere = __("{0} jobs of other sites are held or wait, too.", [held_jobs_elsewhere]);
	return card(
		"held-jobs",
		__("Held and delayed jobs"),
		null,
		held_jobs.length ? table(__("Jobs that were interrupted and now wait"), heads, rows) : null,
		held_jobs_elsewhere ? h("p", { class: "sr-none" }, elsewhere) : null
	);
}

function row(tools, job, { requeue, discard }) {
	const { __ } = tools;
	const button = (text, on_click, tone) =>
		h(
			"button",
			{
				key: text,
				type: "button",
				class: `sr-button ${tone}`,
				"aria-label": `${text}: ${job.method}`,
				on: { click: () => on_click(job) },
			},
			text
		);
	const due = job.due_in_seconds;
	return h(
		"tr",
		{ key: job.id },
		cell(
			__("Job"),
			{ class: "sr-two sr-job" },
			link_or_text(tools, "job", job.id, h("code", null, job.method)),
			h("small", null, [job.site, job.queue].filter(Boolean).join(" · "))
		),
		cell(
			__("State"),
			{ class: "sr-two" },
			pill(tone_of(job.kind), status_text(__, job.kind)),
			h(
				"small",
				null,
				due === null ? __("until somebody decides") : __("runs in {0}", [duration(__, due)])
			)
		),
		cell(
			__("Why"),
			{ class: "sr-two" },
			h("span", { class: "sr-fate" }, job.why || attempts_text(__, job.attempts)),
			h("small", null, job.who, job.who && job.at ? " · " : null, job.at ? local_time(job.at) : null)
		),
		cell(
			__("Decide"),
			{ class: "sr-acts" },
			button(__("Requeue"), requeue, ""),
			button(__("Discard"), discard, "sr-danger")
		)
	);
}
