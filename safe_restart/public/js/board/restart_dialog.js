// The Restart dialog: how, what that would do, and what has to be said before it may begin.

import { h, render } from "./dom.js";
import { answers, choices, KINDS, MIGRATING, more_options } from "./restart_fields.js";
import { plan } from "./preview.js";
import { Poller } from "./poller.js";

const PREVIEW_SECONDS = 3;
const TYPING_SECONDS = 0.3;

export class RestartDialog {
	/** `asked` is given the id of the request that was made. */
	constructor(parent, { call, tools, asked }) {
		Object.assign(this, { parent, call, tools, asked });
	}

	open(overview) {
		this.overview = overview;
		this.state = { preview: null, problem: "", refusal: "", is_sending: false };
		this.element = document.createElement("dialog");
		this.element.className = "sr-dialog";
		this.element.setAttribute("aria-labelledby", "sr-dialog-title");
		this.element.addEventListener("close", () => this.closed());
		this.parent.append(this.element);
		this.draw();
		this.element.showModal();
		this.poller = new Poller(
			() => this.look(),
			(error) => this.failed(error)
		);
		this.poller.start();
	}

	close() {
		if (this.element) this.element.close();
	}

	closed() {
		this.poller.stop();
		clearTimeout(this.typing);
		this.element.remove();
		this.element = null;
	}

	async look() {
		const preview = await this.call("preview", { options: this.form.options });
		Object.assign(this.state, { preview, problem: "" });
		this.draw();
		return PREVIEW_SECONDS;
	}

	failed(error) {
		const { __ } = this.tools;
		this.state.problem = error.refused ? error.message : __("The site does not answer. Asking again …");
		this.draw();
	}

	changed(event) {
		this.draw();
		if ("free" in event.target.dataset) return; // it changes nothing in the preview
		clearTimeout(this.typing);
		this.typing = setTimeout(() => this.poller.soon(), TYPING_SECONDS * 1000);
	}

	async send(event) {
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
			this.asked(request);
		} catch (error) {
			this.state.refusal = error.refused ? error.message : this.unknown;
		}
		this.state.is_sending = false;
		this.draw();
	}

	get unknown() {
		return this.tools.__(
			"No server answered, so it is not known whether the restart began. The board behind this shows it."
		);
	}

	/** What the person has chosen and typed so far. */
	get form() {
		const form = this.element.querySelector("form");
		const { defaults } = this.overview;
		const data = new FormData(form || undefined);
		const strategy = data.get("strategy") || defaults.strategy;
		const seconds = (name) => (data.get(name) ? Number(data.get(name)) : form ? null : defaults[name]);
		return {
			strategy,
			reason: (data.get("reason") || "").trim(),
			override_blockers: data.has("override_blockers"),
			confirm: (data.get("confirm") || "").trim(),
			is_valid: !form || form.checkValidity(),
			options: {
				only: form ? data.getAll("only") : KINDS.filter((kind) => kind !== "redis"),
				wait_workers_timeout: seconds("wait_workers_timeout"),
				force_kill_timeout: seconds("force_kill_timeout"),
				interrupted: data.get("interrupted") || defaults.interrupted,
				migrate: strategy === MIGRATING && data.has("migrate"),
				migrate_timeout: seconds("migrate_timeout") || defaults.migrate_timeout,
			},
		};
	}

	/** Why it may not begin yet; empty where it may. */
	get objection() {
		const { __, confirm_name } = this.tools;
		const { form } = this;
		const { preview, problem } = this.state;
		if (!form.is_valid) return __("A figure under More options is not a number of seconds.");
		if (!form.options.only.length) return __("Choose at least one service.");
		if (!preview && !problem) return __("Looking at the jobs that run now …");
		if (preview && preview.blockers.length && !form.override_blockers)
			return __("Something objects to a restart now.");
		if (form.override_blockers && !form.reason) return __("Say why you restart anyway.");
		if (this.strategy.interrupts && form.confirm !== confirm_name)
			return __("Type the site's name to confirm.");
		return "";
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
					on: { submit: (event) => this.send(event), input: (event) => this.changed(event) },
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
						choices(this.tools, this.overview, preview)
					),
					h(
						"section",
						{ class: "sr-preview", "aria-label": __("What this restart does") },
						h("h3", null, __("What it does")),
						plan(this.tools, form.strategy, preview, problem)
					),
					h(
						"div",
						{ class: "sr-answers" },
						answers(this.tools, form, preview, this.strategy),
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
