// The parts of the Restart dialog that a person fills in.

import { h } from "./dom.js";
import { pill } from "./elements.js";
import { duration_range } from "./preview.js";
import { kind_text } from "./services.js";

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

/** The options that are seldom needed, folded away: a field for each row of the server's table (engine/restart/options.py). */
export function more_options({ __ }, { options, defaults }, form) {
	const [services, ...others] = option_rows(options);
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
				services.choices.map((kind) =>
					checkbox(services.name, kind_text(__, kind), {
						value: kind,
						initial: { checked: services.default.includes(kind) },
					})
				)
			),
			others.map((row) => FIELDS[row.type](__, row, option_label(__, row, form), defaults, form))
		)
	);
}

/** What a form holds for each row; before it is drawn, what it will hold. */
export function chosen_options({ options, defaults }, data, strategy) {
	return Object.fromEntries(
		option_rows(options).map((row) => {
			const { name, type } = row;
			if (!data) return [name, name in defaults ? defaults[name] : row.default];
			if (name === "migrate") return [name, strategy === MIGRATION_STRATEGY && data.has(name)];
			return [name, READERS[type](data, row, defaults)];
		})
	);
}

/** Those of the table that are set here: who overrides an objection is asked apart, beside the reason. */
function option_rows(options) {
	return options.filter(({ name }) => name !== "override_blockers");
}

const READERS = {
	names: (data, { name }) => data.getAll(name),
	seconds: (data, { name }) => (data.get(name) ? Number(data.get(name)) : null),
	choice: (data, { name }, defaults) => data.get(name) || defaults[name],
	flag: (data, { name }) => data.has(name),
};

const FIELDS = { seconds: seconds_field, choice: choice_field, flag: flag_field };

/** How an option is called here; one that has no words of its own yet is told by the command line's. */
function option_label(__, { name, help }, form) {
	const labels = {
		wait_workers_timeout: __("Wait for jobs, seconds"),
		force_kill_timeout: __("Grace before an interruption, seconds"),
		interrupted: __("Interrupted jobs"),
		migrate:
			form.strategy === MIGRATION_STRATEGY
				? __("Migrate all sites")
				: __("Migrate all sites (goes with wait-workers)"),
		migrate_timeout: __("Time for a migration, seconds"),
	};
	return labels[name] || help;
}

function seconds_field(__, { name, may_be_none }, label, defaults) {
	return h(
		"label",
		{ key: name, class: "sr-field" },
		h("span", null, label),
		h("input", {
			type: "number",
			name,
			min: 0,
			step: "any",
			initial: { value: defaults[name] === null ? "" : defaults[name] },
			required: !may_be_none,
			placeholder: may_be_none ? __("the process manager's own") : "",
		})
	);
}

function choice_field(__, { name, choices }, label, defaults) {
	const texts = {
		requeue: __("Queue them again"),
		hold: __("Hold them for a person"),
		fail: __("Mark them as failed"),
	};
	return h(
		"label",
		{ key: name, class: "sr-field" },
		h("span", null, label),
		h(
			"select",
			{ name, initial: { value: defaults[name] } },
			choices.map((value) => h("option", { key: value, value }, texts[value] || value))
		)
	);
}

function flag_field(__, { name }, label, defaults, form) {
	const disabled = name === "migrate" && form.strategy !== MIGRATION_STRATEGY;
	return checkbox(name, label, { disabled });
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
