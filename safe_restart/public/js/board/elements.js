// The elements that several cards share.

import { h } from "./dom.js";

const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
// Made once: making one takes longer than drawing a row.
const TODAY = new Intl.DateTimeFormat(undefined, CLOCK);
const ANY_DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", ...CLOCK });

/** A time of day in the reader's own time zone, with the date where it is not today's. */
export function local_time(at) {
	if (!at) return "–";
	const date = new Date(at);
	const is_today = date.toDateString() === new Date().toDateString();
	return h("time", { datetime: at, title: at }, (is_today ? TODAY : ANY_DAY).format(date));
}

/** An indicator pill, as Frappe's desk has them. */
export function pill(tone, text, more = {}) {
	return h("span", { class: `sr-pill sr-${tone}`, ...more }, text);
}

/** A link where the page knows one, else the text alone. */
export function link_or_text(tools, kind, id, ...text) {
	const url = tools.link && tools.link(kind, id);
	return url ? h("a", { href: url }, ...text) : h("span", null, ...text);
}

/** A bar from 0 to 1 that people read in words. */
export function bar(part, tone, label) {
	const percent = Math.round(Math.min(1, Math.max(0, part)) * 100);
	return h(
		"span",
		{ class: `sr-bar sr-${tone}`, role: "img", "aria-label": label, title: label },
		h("span", { style: { width: `${percent}%` } })
	);
}

/** A card with a heading of its own. */
export function card(name, title, aside, ...content) {
	return h(
		"section",
		{ key: name, class: `sr-card sr-card-${name}`, "aria-labelledby": `sr-title-${name}` },
		h("header", null, h("h2", { id: `sr-title-${name}` }, title), aside),
		...content
	);
}

/** A table that scrolls within its card where it must, never the page. */
export function table(caption, heads, rows, more = {}) {
	return h(
		"div",
		{ class: "sr-table", ...more },
		h(
			"table",
			null,
			h("caption", { class: "sr-unseen" }, caption),
			h("thead", null, h("tr", null, heads.map(head_cell))),
			h("tbody", null, rows)
		)
	);
}

function head_cell(head, index) {
	return h("th", { key: index, scope: "col", class: head.class }, head.text || head);
}

/** A cell that says its column's name where the table is shown as a list, on a phone. */
export function cell(label, properties, ...content) {
	return h("td", { key: label, "data-label": label, ...properties }, ...content);
}
