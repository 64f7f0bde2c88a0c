// Earlier restarts; each opens to its steps and its account.

import { h } from "./dom.js";
import { account } from "./restart.js";
import { card, cell, duration, linked, moment, pill, status_text, table, tone_of } from "./format.js";

const PAGE = 20;

export function history(tools, { overview, older, opened, has_all }, actions) {
	const { __ } = tools;
	const known = new Set(overview.history.map(({ request }) => request));
	const requests = [...overview.history, ...older.filter(({ request }) => !known.has(request))];
	const heads = [
		__("Restart"),
		__("Strategy"),
		__("Status"),
		__("By"),
		{ text: __("Took"), class: "sr-number" },
	];
	const rows = requests.flatMap((one) => [
		row(tools, one, opened, actions),
		opened.has(one.request) ? inside(tools, one, opened.get(one.request)) : null,
	]);
	const more = {
		type: "button",
		class: "sr-button",
		on: { click: () => actions.older(requests[requests.length - 1].request) },
	};
	return card(
		"history",
		__("History"),
		null,
		requests.length
			? table(__("Restarts, the newest first"), heads, rows)
			: h("p", { class: "sr-none" }, __("No restart yet.")),
		requests.length >= PAGE && !has_all
			? h("p", { class: "sr-more" }, h("button", more, __("Show older")))
			: null
	);
}

function row(tools, one, opened, { toggle }) {
	const { __ } = tools;
	const is_open = opened.has(one.request);
	const button = {
		type: "button",
		class: "sr-expand",
		"aria-expanded": String(is_open),
		"aria-label": __("Restart {0}", [one.request]),
		on: { click: () => toggle(one.request) },
	};
	return h(
		"tr",
		{ key: one.request },
		cell(__("Restart"), null, h("button", button, moment(one.created_at))),
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

function inside(tools, one, progress) {
	const { __ } = tools;
	const facts = h("p", { class: "sr-facts" }, linked(tools, "request", one.request, one.request));
	const waiting = [
		one.outcome ? h("p", { class: "sr-outcome" }, one.outcome) : null,
		h("p", { class: "sr-none" }, __("Looking it up …")),
	];
	return h(
		"tr",
		{ key: `${one.request} inside`, class: "sr-inside" },
		h("td", { colspan: 5 }, facts, progress ? account(tools, progress) : waiting)
	);
}
