// The parts of the Restart dialog that a person fills in.

import { h } from "./dom.js";
import { pill } from "./elements.js";
import { duration_range } from "./preview.js";
import { kind_text } from "./services.js";

export const SERVICE_KINDS = ["web", "workers", "scheduler", "socketio", "redis"];
export const MIGRATION_STRATEGY = "wait-workers";

/** The strategies as cards, each with its summary and how long it should take. */
export function strategy_choices({ __ }, { strategies, defaults }, preview) {
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
					preview
						? h("small", { class: "sr-number" }, duration_range(__, preview.expected[name]))
						: null
				),
				h("span", { class: "sr-muted" }, summary),
				is_recommended ? h("span", { class: "sr-recommended" }, preview.reason) : null
			)
		);
	});
}

/** What a person has to type before the restart may begin. */
export function confirmation_fields({ __, confirm_name }, form, preview, strategy) {
	const blocked = (preview && preview.blockers.length) || form.override_blockers;
	return [
		blocked
			? h(
					"label",
					{ key: "override", class: "sr-check" },
					h("input", { type: "checkbox", name: "override_blockers", "data-outside-preview": true }),
					h("span", null, __("Restart anyway"))
				)
			: null,
		text_field(
			"reason",
			form.override_blockers ? __("Reason (needed)") : __("Reason (for the history)"),
			{
				maxlength: 500,
				"aria-required": String(form.override_blockers),
			}
		),
		strategy.interrupts
			? text_field("confirm", __("Jobs may be interrupted. Type {0} to confirm", [confirm_name]), {
					spellcheck: "false",
				})
			: null,
	];
}

/** The options that are seldom needed, folded away. */
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
	const actions = {
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
				SERVICE_KINDS.map((kind) =>
					checkbox("only", kind_text(__, kind), {
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
					Object.keys(actions).map((value) => h("option", { key: value, value }, actions[value]))
				)
			),
			checkbox(
				"migrate",
				form.strategy === MIGRATION_STRATEGY
					? __("Migrate all sites")
					: __("Migrate all sites (goes with wait-workers)"),
				{ disabled: form.strategy !== MIGRATION_STRATEGY }
			),
			seconds("migrate_timeout", __("Time for a migration, seconds"))
		)
	);
}

/** A text that changes nothing in the preview, so typing it asks for no new one. */
function text_field(name, label, more) {
	return h(
		"label",
		{ key: name, class: "sr-field" },
		h("span", null, label),
		h("input", { type: "text", name, autocomplete: "off", "data-outside-preview": true, ...more })
	);
}

function checkbox(name, label, more) {
	return h(
		"label",
		{ key: `${name} ${label}`, class: "sr-check" },
		h("input", { type: "checkbox", name, ...more }),
		h("span", null, label)
	);
}
