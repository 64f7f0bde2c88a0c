// The bench's processes, as its process manager sees them.

import { h } from "./dom.js";
import { card, pill } from "./elements.js";
import { duration } from "./format.js";

export function services_card(tools, { services, bench }) {
	const { __ } = tools;
	const list = h(
		"ul",
		{ class: "sr-list" },
		services.map((service) => row(__, service, bench))
	);
	const none = h("p", { class: "sr-none" }, __("No service can be seen."));
	return card("services", __("Services"), null, services.length ? list : none);
}

function row(__, { name, kind, state, pid, age_seconds }, bench) {
	const program = name.split(":").pop();
	const short = program.startsWith(`${bench}-`) ? program.slice(bench.length + 1) : program;
	const facts = [
		pid && `pid ${pid}`,
		age_seconds !== null && age_seconds !== undefined && duration(__, age_seconds),
	];
	return h(
		"li",
		{ key: name },
		pill(state === "running" ? "green" : "red", state),
		h("span", null, kind_text(__, kind), " ", h("small", { title: name }, short)),
		h("small", { class: "sr-number" }, facts.filter(Boolean).join(" · "))
	);
}

/** The kinds of services, for people. */
export function kind_text(__, kind) {
	const texts = {
		web: __("Web"),
		workers: __("Workers"),
		scheduler: __("Scheduler"),
		socketio: __("Socket.IO"),
		redis: __("Redis"),
	};
	return texts[kind] || kind;
}
