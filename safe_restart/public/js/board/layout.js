// The whole board, from what is known now.

import { h } from "./dom.js";
import { alerts, headline } from "./headline.js";
import { history } from "./history.js";
import { queues } from "./queues.js";
import { restart } from "./restart.js";
import { services } from "./services.js";
import { set_aside } from "./held_jobs.js";
import { workers } from "./workers.js";
import { moment } from "./format.js";

export function view(tools, state, actions) {
	const { overview } = state;
	return [
		head(tools, state, actions),
		h("div", { key: "alerts", class: "sr-alerts" }, alerts(tools, state, actions)),
		overview && [
			h(
				"div",
				{ key: "columns", class: "sr-columns" },
				h("div", { key: "main" }, main(tools, state, actions)),
				h("div", { key: "side" }, queues(tools, overview), services(tools, overview))
			),
			history(tools, state, actions),
		],
	];
}

/** A restart under way comes first, then what waits for a person. */
function main(tools, state, actions) {
	const { overview, progress } = state;
	const cards = [restart(tools, state, actions), set_aside(tools, overview, actions)];
	return [progress && progress.is_open ? cards : cards.reverse(), workers(tools, overview)];
}

function head(tools, state, { open }) {
	const { __ } = tools;
	const { overview, away } = state;
	const [tone, sentence] = headline(tools, state);
	const is_ready =
		overview &&
		!away &&
		(!overview.current || overview.abandoned || overview.current.status === "watching");
	const facts = overview && [overview.bench, overview.site].filter(Boolean).join(" · ");
	return h(
		"header",
		{ key: "head", class: "sr-head" },
		h("span", { class: `sr-dot sr-${tone}`, "aria-hidden": "true" }),
		h(
			"div",
			null,
			h("p", { class: "sr-headline", role: "status" }, sentence),
			overview && h("p", { class: "sr-muted" }, facts, " · ", __("as of"), " ", moment(overview.now))
		),
		// Not `disabled`: it would lose the focus that comes back to it when the dialog closes.
		h(
			"button",
			{
				type: "button",
				class: "sr-button sr-primary",
				"aria-disabled": String(!is_ready),
				on: { click: () => is_ready && open() },
			},
			__("Restart …")
		)
	);
}
