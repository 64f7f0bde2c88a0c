// The whole board, from what is known now.

import { h } from "./dom.js";
import { local_time } from "./elements.js";
import { alerts, headline } from "./headline.js";
import { held_jobs_card } from "./held_jobs.js";
import { history_card } from "./history.js";
import { queues_card } from "./queues.js";
import { restart_card } from "./restart.js";
import { services_card } from "./services.js";
import { workers_card } from "./workers.js";

export function layout(tools, state, actions) {
	const { overview } = state;
	return [
		head(tools, state, actions),
		h("div", { key: "alerts", class: "sr-alerts" }, alerts(tools, state, actions)),
		overview && [
			h(
				"div",
				{ key: "columns", class: "sr-columns" },
				h("div", { key: "main" }, main(tools, state, actions)),
				h("div", { key: "side" }, queues_card(tools, overview), services_card(tools, overview))
			),
			history_card(tools, state, actions),
		],
	];
}

/** A restart under way comes first, then what waits for a person. */
function main(tools, state, actions) {
	const { overview, progress } = state;
	const last_restart = restart_card(tools, state, actions);
	const held_jobs = held_jobs_card(tools, overview, actions);
	const first = progress && progress.is_open ? [last_restart, held_jobs] : [held_jobs, last_restart];
	return [first, workers_card(tools, overview)];
}

function head(tools, state, { open }) {
	const { __ } = tools;
	const { overview, outage } = state;
	const [tone, sentence] = headline(tools, state);
	const is_ready =
		overview &&
		!outage &&
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
			overview &&
				h("p", { class: "sr-muted" }, facts, " · ", __("as of"), " ", local_time(overview.now))
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
