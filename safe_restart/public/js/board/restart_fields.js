// The parts of the Restart dialog that a person fills in.

import { h } from "./dom.js";
import { kind_text } from "./services.js";
import { takes } from "./preview.js";
import { pill } from "./format.js";

export const KINDS = ["web", "workers", "scheduler", "socketio", "redis"];
export const MIGRATING = "wait-workers";

/** The strategies as cards, each with its summary and how long it should take. */
export function choices({ __ }, { strategies, defaults }, preview) {
	return strategies.map(({ name, summary, interrupts, holds_jobs }) => {
		const is_recommended = preview && preview.recommended === name;
		const initial = { checked: name === defaults.strategy };
		return h(
			"label",
			{ key: name, class: "sr-choice" },
			h("input", { type: "radio", name: "strategy", value: name, initial }),
			h(
				"span",
				null,
				h(
					"span",
					{ class: "sr-choice-name" },
					h("strong", null, name),
					is_recommended ? pill("green", __("Recommended")) : null,
					interrupts ? pill("red", __("Interrupts jobs")) : null,
					holds_jobs ? pill("gray", __("New jobs wait")) : null,
					preview ? h("small", { class: "sr-number" }, takes(__, preview.expected[name])) : null
				),
				h("span", { class: "sr-muted" }, summary),
				is_recommended ? h("span", { class: "sr-recommended" }, preview.reason) : null
			)
		);
	});
}

/** What has to be said before it may begin. */
export function answers({ __, confirm_name }, form, preview, strategy) {
	const blocked = (preview && preview.blockers.length) || form.override_blockers;
	const text = (name, label, more) =>
		h(
			"label",
			{ key: name, class: "sr-field" },
			h("span", null, label),
			h("input", { type: "text", name, autocomplete: "off", "data-free": true, ...more })
		);
	return [
		blocked
			? h(
					"label",
					{ key: "override", class: "sr-check" },
					h("input", { type: "checkbox", name: "override_blockers", "data-free": true }),
					h("span", null, __("Restart anyway"))
				)
			: null,
		text("reason", form.override_blockers ? __("Reason (needed)") : __("Reason (for the history)"), {
			maxlength: 500,
			"aria-required": String(form.override_blockers),
		}),
		strategy.interrupts
			? text("confirm", __("Jobs may be interrupted. Type {0} to confirm", [confirm_name]), {
					spellcheck: "false",
				})
			: null,
	];
}

/** What is seldom needed, folded away. */
export function more_options({ __ }, { defaults }, form) {
	const seconds = (name, label, more) =>
		h(
			"label",
			{ key: name, class: "sr-field" },
			h("span", null, label),
			h("input", {
				type: "number",
				name,
				min: 0,
				step: "any",
				initial: { value: defaults[name] === null ? "" : defaults[name] },
				...more,
			})
		);
	const check = (name, label, more) =>
		h(
			"label",
			{ key: `${name} ${label}`, class: "sr-check" },
			h("input", { type: "checkbox", name, ...more }),
			h("span", null, label)
		);
	const choices = {
		requeue: __("Queue them again"),
		hold: __("Hold them for a person"),
		fail: __("Mark them as failed"),
	};
	return h(
		"details",
		{ key: "more" },
		h("summary", null, __("More options")),
		h(
			"div",
			{ class: "sr-options" },
			h(
				"fieldset",
				{ class: "sr-checks" },
				h("legend", null, __("Restart")),
				KINDS.map((kind) =>
					check("only", kind_text(__, kind), {
						value: kind,
						initial: { checked: kind !== "redis" },
					})
				)
			),
			seconds("wait_workers_timeout", __("Wait for jobs, seconds"), { required: true }),
			seconds("force_kill_timeout", __("Grace before an interruption, seconds"), {
				placeholder: __("the process manager's own"),
			}),
			h(
				"label",
				{ key: "interrupted", class: "sr-field" },
				h("span", null, __("Interrupted jobs")),
				h(
					"select",
					{ name: "interrupted", initial: { value: defaults.interrupted } },
					Object.keys(choices).map((value) => h("option", { key: value, value }, choices[value]))
				)
			),
			check(
				"migrate",
				form.strategy === MIGRATING
					? __("Migrate all sites")
					: __("Migrate all sites (goes with wait-workers)"),
				{ disabled: form.strategy !== MIGRATING }
			),
			seconds("migrate_timeout", __("Time for a migration, seconds"))
		)
	);
}
