// Jobs that were interrupted and now wait: for a person, or for their pause to be over.

import { h } from "./dom.js";
import {
	attempts_text,
	card,
	cell,
	duration,
	linked,
	moment,
	pill,
	status_text,
	table,
	tone_of,
} from "./format.js";

export function set_aside(tools, { set_aside, set_aside_elsewhere }, actions) {
	const { __ } = tools;
	if (!set_aside.length && !set_aside_elsewhere) return null;
	const heads = [__("Job"), __("State"), __("Why"), h("span", { class: "sr-unseen" }, __("Decide"))];
	const rows = set_aside.map((job) => row(tools, job, actions));
	const elsewhere = __("{0} jobs of other sites are held or wait, too.", [set_aside_elsewhere]);
	return card(
		"set-aside",
		__("Held and delayed jobs"),
		null,
		set_aside.length ? table(__("Jobs that were interrupted and now wait"), heads, rows) : null,
		set_aside_elsewhere ? h("p", { class: "sr-none" }, elsewhere) : null
	);
}

function row(tools, job, { requeue, discard }) {
	const { __ } = tools;
	const act = (text, act, tone) =>
		h(
			"button",
			{
				key: text,
				type: "button",
				class: `sr-button ${tone}`,
				"aria-label": `${text}: ${job.method}`,
				on: { click: () => act(job) },
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
			linked(tools, "job", job.id, h("code", null, job.method)),
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
			h("small", null, job.who, job.who && job.at ? " · " : null, job.at ? moment(job.at) : null)
		),
		cell(
			__("Decide"),
			{ class: "sr-acts" },
			act(__("Requeue"), requeue, ""),
			act(__("Discard"), discard, "sr-danger")
		)
	);
}
