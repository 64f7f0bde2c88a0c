// Earlier restarts; each opens to its steps and its report.

import { h } from "./dom.js";
import { card, cell, link_or_text, local_time, pill, table } from "./elements.js";
import { duration, status_text, tone_of } from "./format.js";
import { report } from "./restart.js";

const PAGE_LENGTH = 20;

export function history_card(tools, { overview, older_requests, expanded, has_all_requests }, actions) {
	const { __ } = tools;
	const known = new Set(overview.history.map(({ request }) => request));
	const requests = [...overview.history, ...older_requests.filter(({ request }) => !known.has(request))];
	const heads = [
		__("Restart"),
		__("Strategy"),
		__("Status"),
		__("By"),
		{ text: __("Took"), class: "sr-number" },
	];
	const rows = requests.flatMap((one) => [
		row(tools, one, expanded, actions),
		expanded.has(one.request) ? details_row(tools, one, expanded.get(one.request)) : null,
	]);
	const more = {
		type: "button",
		class: "sr-button",
		on: { click: () => actions.load_older(requests[requests.length - 1].request) },
	};
	return card(
		"history",
		__("History"),
		null,
		requests.length
			? table(__("Restarts, the newest first"), heads, rows)
			: h("p", { class: "sr-none" }, __("No restart yet.")),
		requests.length >= PAGE_LENGTH && !has_all_requests
			? h("p", { class: "sr-more" }, h("button", more, __("Show older")))
			: null
	);
}

function row(tools, one, expanded, { toggle }) {
	const { __ } = tools;
	const is_expanded = expanded.has(one.request);
	const button = {
		type: "button",
		class: "sr-expand",
		"aria-expanded": String(is_expanded),
		"aria-label": __("Restart {0}", [one.request]),
		on: { click: () => toggle(one.request) },
	};
	return h(
		"tr",
		{ key: one.request },
		cell(__("Restart"), null, h("button", button, local_time(one.created_at))),
		cell(__("Strategy"), null, one.strategy),
		cell(__("Status"), null, pill(tone_of(one.status), status_text(__, one.status))),
		cell(
			__("By"),
			{ class: "sr-two" },
			one.requested_by,
			one.reason ? h("small", null, one.reason) : null
		),
		cell(__("Took"), { class: "sr-number" }, one.finished_at ? duration(__, one.seconds || 0) : "–")
	);
}

function details_row(tools, one, progress) {
	const { __ } = tools;
	const facts = h("p", { class: "sr-facts" }, link_or_text(tools, "request", one.request, one.request));
	const waiting = [
		one.outcome ? h("p", { class: "sr-outcome" }, one.outcome) : null,
		h("p", { class: "sr-none" }, __("Looking it up …")),
	];
	return h(
		"tr",
		{ key: `${one.request} inside`, class: "sr-inside" },
		h("td", { colspan: 5 }, facts, progress ? report(tools, progress) : waiting)
	);
}
