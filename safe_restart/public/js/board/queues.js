// Queue depths over the last quarter of an hour, and the figures now, which are the chart's legend as well.

import { h } from "./dom.js";
import { card, cell, link_or_text, table } from "./elements.js";

const SPAN_SECONDS = 15 * 60;
// Samples are taken while somebody looks; over a longer gap nothing is known, so nothing is drawn.
const GAP_SECONDS = 90;
const WIDTH = 600;
const HEIGHT = 120;
const LINES = 6; // as many as the style sheet knows

export function queues_card(tools, overview) {
	const { __ } = tools;
	const all = tools.link ? link_or_text(tools, "all-jobs", null, __("All jobs")) : null;
	return card(
		"queues",
		__("Queues"),
		h("span", { class: "sr-aside" }, all),
		chart(__, overview),
		figures(__, overview)
	);
}

function chart(__, { queues, depths, now }) {
	const highest = Math.max(
		1,
		...queues.flatMap(({ name, depth }) => [depth, ...(depths.queues[name] || [])])
	);
	const lines = queues.map((queue, index) =>
		h("path", {
			key: queue.name,
			class: `sr-line sr-line-${index % LINES}`,
			d: line_path(depths, queue, highest, now),
		})
	);
	return h(
		"figure",
		{ class: "sr-chart" },
		h("span", { class: "sr-chart-top" }, __("{0} waiting", [highest])),
		h(
			"svg",
			{
				viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
				preserveAspectRatio: "none",
				role: "img",
				"aria-label": chart_text(__, queues, depths),
			},
			[0, 0.5, 1].map((part) =>
				h("line", { class: "sr-grid", x1: 0, x2: WIDTH, y1: part * HEIGHT, y2: part * HEIGHT })
			),
			lines
		),
		h("figcaption", null, h("span", null, __("15 minutes ago")), h("span", null, __("now")))
	);
}

/** Depths stay until the next sample, hence steps rather than slopes. */
function line_path(depths, { name, depth }, highest, now) {
	const height = (waiting) => (HEIGHT * (1 - waiting / highest)).toFixed(1);
	const end = new Date(now).getTime() / 1000;
	let before = 0;
	const steps = depths.at.map((at, index) => {
		const age = Math.min(SPAN_SECONDS, Math.max(0, end - new Date(at).getTime() / 1000));
		const x = (WIDTH * (1 - age / SPAN_SECONDS)).toFixed(1);
		const y = height((depths.queues[name] || [])[index] || 0);
		const is_apart = before - age > GAP_SECONDS || !index;
		before = age;
		return is_apart ? `M${x} ${y}` : `H${x}V${y}`;
	});
	const is_recent = steps.length && before < GAP_SECONDS;
	return steps.join("") + (is_recent ? `H${WIDTH}V${height(depth)}` : "");
}

function chart_text(__, queues, depths) {
	const parts = queues.map(({ name, depth }) =>
		__("{0}: {1} wait now, at most {2}", [name, depth, Math.max(depth, ...(depths.queues[name] || []))])
	);
	return __("Jobs waiting in the last 15 minutes. {0}.", [parts.join("; ")]);
}

function figures(__, { queues }) {
	const heads = [__("Queue"), ...count_columns(__).map(([, text]) => ({ text, class: "sr-number" }))];
	const rows = queues.map((queue, index) =>
		h(
			"tr",
			{ key: queue.name },
			h("th", { scope: "row" }, swatch(index), queue.name),
			count_columns(__).map(([name, label]) =>
				cell(label, { class: queue[name] ? "sr-number" : "sr-number sr-muted" }, queue[name])
			)
		)
	);
	return table(__("Jobs in each queue now"), heads, rows, { class: "sr-table sr-compact" });
}

function count_columns(__) {
	return [
		["depth", __("Waiting")],
		["started", __("Running")],
		["scheduled", __("Scheduled")],
		["deferred", __("Deferred")],
		["failed", __("Failed")],
	];
}

function swatch(index) {
	return h(
		"svg",
		{ class: "sr-swatch", viewBox: "0 0 16 4", "aria-hidden": "true" },
		h("path", { class: `sr-line sr-line-${index % LINES}`, d: "M0 2H16" })
	);
}
