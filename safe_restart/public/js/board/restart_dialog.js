// The Restart dialog: how, what that would do, and what has to be said before it may begin.

import { h, render } from "./dom.js";
import { Poller } from "./poller.js";
import { preview_section } from "./preview.js";
import { confirmation_fields, more_options, chosen_options, strategy_choices } from "./restart_fields.js";

const PREVIEW_SECONDS = 3;
const TYPING_PAUSE_SECONDS = 0.3;

export class RestartDialog {
	/** `on_requested` is given the id of the request that was made. */
	constructor(parent, { call, tools, on_requested }) {
		Object.assign(this, { parent, call, tools, on_requested });
	}

	open(overview) {
		this.overview = overview;
		this.state = { preview: null, problem: "", refusal: "", is_sending: false };
		this.element = document.createElement("dialog");
		this.element.className = "sr-dialog";
		this.element.setAttribute("aria-labelledby", "sr-dialog-title");
		this.element.addEventListener("close", () => this.on_close());
		this.parent.append(this.element);
		this.draw();
		this.element.showModal();
		this.poller = new Poller(
			() => this.load_preview(),
			(error) => this.on_error(error)
		);
		this.poller.start();
	}

	close() {
		if (this.element) this.element.close();
	}

	on_close() {
		this.poller.stop();
		clearTimeout(this.typing_timer);
		this.element.remove();
		this.element = null;
	}

	async load_preview() {
		const preview = await this.call("preview", { options: this.form.options });
		Object.assign(this.state, { preview, problem: "" });
		this.draw();
		return PREVIEW_SECONDS;
	}

	on_error(error) {
		const { __ } = this.tools;
		this.state.problem = error.refused ? error.message : __("The site does not answer. Asking again …");
		this.draw();
	}

	on_input(event) {
		this.draw();
		if ("outsidePreview" in event.target.dataset) return;
		clearTimeout(this.typing_timer);
		this.typing_timer = setTimeout(() => this.poller.poll_now(), TYPING_PAUSE_SECONDS * 1000);
	}

	async submit(event) {
		event.preventDefault();
		if (this.objection || this.state.is_sending) return;
		const { strategy, options, reason, override_blockers, confirm } = this.form;
		Object.assign(this.state, { is_sending: true, refusal: "" });
		this.draw();
		try {
			const { request } = await this.call("request", {
				strategy,
				options,
				reason,
				override_blockers,
				confirm,
			});
			this.close();
			this.on_requested(request);
		} catch (error) {
			this.state.refusal = error.refused ? error.message : this.unknown_outcome_text;
		}
		this.state.is_sending = false;
		this.draw();
	}

	get unknown_outcome_text() {
		return this.tools.__(
			"No server answered, so it is not known whether the restart began. The board behind this shows it."
		);
	}

	/** What the person has chosen and typed so far. */
	get form() {
		const form = this.element.querySelector("form");
		if (!form) return this.initial_form;
		const { defaults } = this.overview;
		const data = new FormData(form);
		const strategy = data.get("strategy") || defaults.strategy;
		const text = (name) => (data.get(name) || "").trim();
		return {
			strategy,
			reason: text("reason"),
			override_blockers: data.has("override_blockers"),
			confirm: text("confirm"),
			is_valid: form.checkValidity(),
			options: chosen_options(this.overview, data, strategy),
		};
	}

	/** The same before the form is drawn. */
	get initial_form() {
		const { defaults } = this.overview;
		return {
			strategy: defaults.strategy,
			reason: "",
			override_blockers: false,
			confirm: "",
			is_valid: true,
			options: chosen_options(this.overview, null),
		};
	}

	/** Why the restart may not begin yet; empty where it may. */
	get objection() {
		return this.options_objection || this.confirmation_objection;
	}

	get options_objection() {
		const { __ } = this.tools;
		const { form } = this;
		const { preview, problem } = this.state;
		if (!form.is_valid) return __("A figure under More options is not a number of seconds.");
		if (!form.options.only.length) return __("Choose at least one service.");
		return preview || problem ? "" : __("Looking at the jobs that run now …");
	}

	get confirmation_objection() {
		const { __, confirm_name } = this.tools;
		const { form } = this;
		if (this.is_blocked) return __("Something objects to a restart now.");
		if (form.override_blockers && !form.reason) return __("Say why you restart anyway.");
		const is_confirmed = !this.strategy.interrupts || form.confirm === confirm_name;
		return is_confirmed ? "" : __("Type the site's name to confirm.");
	}

	get is_blocked() {
		const { preview } = this.state;
		return preview && preview.blockers.length > 0 && !this.form.override_blockers;
	}

	get strategy() {
		const { strategy } = this.form;
		return this.overview.strategies.find(({ name }) => name === strategy);
	}

	draw() {
		if (!this.element) return;
		const { __ } = this.tools;
		const { form, state, objection } = this;
		const { is_sending, refusal, preview, problem } = state;
		render(
			this.element,
			h(
				"form",
				{
					novalidate: true,
					on: { submit: (event) => this.submit(event), input: (event) => this.on_input(event) },
				},
				h(
					"header",
					null,
					h("h2", { id: "sr-dialog-title" }, __("Restart {0}", [this.overview.bench])),
					this.close_button()
				),
				h(
					"div",
					{ class: "sr-dialog-body" },
					h(
						"fieldset",
						{ class: "sr-choices" },
						h("legend", null, __("How")),
						strategy_choices(this.tools, this.overview, preview)
					),
					h(
						"section",
						{ class: "sr-preview", "aria-label": __("What this restart does") },
						h("h3", null, __("What it does")),
						preview_section(this.tools, form.strategy, preview, problem)
					),
					h(
						"div",
						{ class: "sr-answers" },
						confirmation_fields(this.tools, form, preview, this.strategy),
						more_options(this.tools, this.overview, form)
					)
				),
				refusal ? h("p", { key: "refusal", class: "sr-alert sr-red", role: "alert" }, refusal) : null,
				h(
					"footer",
					null,
					h("span", { id: "sr-objection", class: "sr-muted", "aria-live": "polite" }, objection),
					h(
						"button",
						{
							key: "close",
							type: "button",
							class: "sr-button",
							on: { click: () => this.close() },
						},
						__("Close")
					),
					h(
						"button",
						{
							key: "send",
							class: `sr-button ${this.strategy.interrupts ? "sr-danger-filled" : "sr-primary"}`,
							disabled: Boolean(objection) || is_sending,
							"aria-describedby": "sr-objection",
						},
						is_sending ? __("Asking …") : __("Restart")
					)
				)
			)
		);
	}

	close_button() {
		const { __ } = this.tools;
		return h(
			"button",
			{
				class: "sr-close",
				type: "button",
				"aria-label": __("Close"),
				on: { click: () => this.close() },
			},
			"×"
		);
	}
}
