// What a restart would do, before anybody clicks.

import { h } from "./dom.js";
import { cell, link_or_text, table } from "./elements.js";
import { duration } from "./format.js";

/** The preview of one strategy; `preview` is null until the first answer is there. */
export function preview_section(tools, strategy, preview, problem) {
	const { __ } = tools;
	if (problem) return h("p", { key: "problem", class: "sr-alert sr-orange", role: "status" }, problem);
	if (!preview)
		return h("p", { key: "waiting", class: "sr-none" }, __("Looking at the jobs that run now …"));
	const chosen = preview.plans[strategy];
	if (!chosen)
		return h("p", { key: "problem", class: "sr-alert sr-orange", role: "status" }, preview.reason);
	return [
		blockers_alert(tools, preview),
		figures(tools, chosen, preview),
		running_jobs(tools, chosen),
		h("ul", { key: "notes", class: "sr-plain" }, notes(__, chosen, preview.expected[strategy])),
	];
}

function blockers_alert({ __ }, { blockers }) {
	if (!blockers.length) return null;
	return h(
		"div",
		{ key: "blockers", class: "sr-alert sr-red", role: "alert" },
		h(
			"div",
			null,
			h("strong", null, __("Something objects to a restart now")),
			h(
				"ul",
				null,
				blockers.map(({ by, sentence }) => h("li", null, sentence, " ", h("code", null, by)))
			)
		)
	);
}

function figures({ __ }, chosen, { expected, users_active }) {
	const risky = chosen.running.filter((job) => job.may_be_interrupted).length;
	const entries = [
		[__("Takes"), duration_range(__, expected[chosen.strategy]) || __("not known yet")],
		[__("Jobs that finish"), chosen.running.length - risky + chosen.running_elsewhere],
		[__("May be interrupted"), risky, risky ? "red" : ""],
		[__("Queued"), chosen.queued],
	];
	if (users_active !== null) entries.push([__("Users active now"), users_active]);
	return h(
		"dl",
		{ key: "figures", class: "sr-figures" },
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

/** How long a strategy should take, in few words; empty where that is not known. */
export function duration_range(__, expected) {
	if (!expected || expected.seconds === null) return "";
	const least = duration(__, expected.seconds);
	if (expected.at_most === null) return __("{0} or more", [least]);
	const most = duration(__, expected.at_most);
	return most === least ? __("about {0}", [least]) : __("{0} to {1}", [least, most]);
}

function running_jobs(tools, { running, running_elsewhere }) {
	const { __ } = tools;
	const heads = [__("Job"), __("Runs for"), __("What becomes of it")];
	const rows = running.map((job) =>
		h(
			"tr",
			{ key: job.job },
			cell(
				__("Job"),
				{ class: "sr-two sr-job" },
				link_or_text(tools, "job", job.job, h("code", null, job.method)),
				h("small", null, job.site)
			),
			cell(__("Runs for"), { class: "sr-number" }, duration(__, job.age_seconds)),
			cell(
				__("What becomes of it"),
				{ class: job.may_be_interrupted ? "sr-text-red" : "" },
				h("div", { class: "sr-fate" }, job.fate)
			)
		)
	);
	return [
		rows.length
			? table(__("What becomes of the jobs that run now"), heads, rows, {
					key: "jobs",
					class: "sr-table sr-short",
					tabindex: "0",
				})
			: h(
					"p",
					{ key: "none", class: "sr-none" },
					running_elsewhere ? __("No job of this site runs now.") : __("No job runs now.")
				),
		running_elsewhere
			? h(
					"p",
					{ key: "elsewhere", class: "sr-none" },
					__("{0} jobs of other sites run, too.", [running_elsewhere])
				)
			: null,
	];
}

function notes(__, { queued, queued_fate, scheduled, scheduled_fate }, expected) {
	const lines = [];
	if (expected && expected.why) lines.push(expected.why);
	if (queued) lines.push(__("{0} queued jobs {1}.", [queued, queued_fate]));
	if (scheduled) lines.push(__("{0} scheduled jobs {1}.", [scheduled, scheduled_fate]));
	return lines.map((line, index) => h("li", { key: index }, line));
}
