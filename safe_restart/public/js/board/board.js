// The board: shows a bench and its restarts, and asks for one. It knows nothing of Frappe but what it is given.

import { confirm } from "./confirm.js";
import { render } from "./dom.js";
import { site_back_text } from "./headline.js";
import { layout } from "./layout.js";
import { Poller } from "./poller.js";
import { RestartDialog } from "./restart_dialog.js";

const OVERVIEW_SECONDS = 3;
const PROGRESS_SECONDS = 0.5;
const BACK_NOTICE_SECONDS = 10;
const HISTORY_LIMIT = 20;

export class Board {
	/**
	 * @param element where the board is put; whatever is inside is replaced
	 * @param call (method, args) => a promise of the answer; it rejects with an Error whose `refused` is true where the
	 *     server refused, and false where no server answered
	 * @param translate (text, values) => the text in the reader's language, with {0} replaced by values[0]
	 * @param confirm_name what has to be typed before jobs may be interrupted: the site's name
	 * @param link (kind, id) => a URL or null; optional. Kinds: job, worker, request, all-jobs, all-workers
	 * @param subscribe (callback) => a function that ends it; optional. Each call back refreshes the board
	 */
	constructor(element, { call, translate, confirm_name, link, subscribe }) {
		Object.assign(this, { element, call, subscribe });
		this.tools = { __: translate, link, confirm_name };
		this.state = {
			overview: null,
			progress: null, // of the restart that is shown: the current one, else the last
			events: [],
			outage: null, // since when no server answers, and what the reason is; null while one answers
			notice: null,
			is_cancelling: false,
			expanded: new Map(), // what is expanded in the history: its progress by request, null until it is there
			older_requests: [],
			has_all_requests: false,
		};
		this.overview_due = 0;
		this.poller = new Poller(
			() => this.refresh(),
			(error) => this.on_error(error)
		);
		this.root = document.createElement("div");
		this.dialog = new RestartDialog(element, {
			call,
			tools: this.tools,
			on_requested: (id) => this.on_requested(id),
		});
		this.actions = {
			open: () => this.dialog.open(this.state.overview),
			dismiss: () => this.show_notice(null),
			toggle: (id) => this.toggle_request(id),
			load_older: (before) => this.load_older(before),
			cancel: (id) => this.cancel(id),
			requeue: (job) => this.run_action("requeue", { job: job.id }),
			discard: (job) => this.discard(job),
		};
	}

	start() {
		this.element.classList.add("safe-restart");
		this.element.replaceChildren(this.root);
		this.unsubscribe = this.subscribe && this.subscribe(() => this.refresh_now());
		this.draw();
		this.poller.start();
	}

	stop() {
		this.poller.stop();
		this.dialog.close();
		if (this.unsubscribe) this.unsubscribe();
	}

	draw() {
		render(this.root, layout(this.tools, this.state, this.actions));
	}

	refresh_now() {
		this.overview_due = 0;
		this.poller.poll_now();
	}

	/** Load what changes and draw; resolves to the seconds until the next refresh. */
	async refresh() {
		if (!this.state.overview) await this.load_overview();
		await this.load_progress();
		if (Date.now() >= this.overview_due) await this.load_overview();
		this.on_answer();
		this.draw();
		const { overview, progress } = this.state;
		const is_moving = this.followed_request || (progress ? progress.is_open : overview.current);
		return is_moving && !overview.abandoned ? PROGRESS_SECONDS : OVERVIEW_SECONDS;
	}

	async load_overview() {
		this.state.overview = await this.call("overview", {});
		this.overview_due = Date.now() + OVERVIEW_SECONDS * 1000;
	}

	/** Load how far the restart that is shown has come, until it has ended. */
	async load_progress() {
		const { state } = this;
		const id = this.request_to_load();
		if (!id) return;
		const is_same = state.progress && state.progress.request === id;
		const events = is_same ? state.events : [];
		const after = events.length ? events[events.length - 1].number : 0;
		const progress = await this.call("progress", { request: id, after });
		state.progress = progress;
		state.events = [...events, ...progress.events];
		if (progress.is_open) return;
		this.followed_request = null;
		state.is_cancelling = false;
		this.overview_due = 0;
	}

	/** The id of the request whose progress is not known to its end; null where there is none. */
	request_to_load() {
		const { overview, progress } = this.state;
		const shown = overview.current || overview.last;
		const id = this.followed_request || (shown && shown.request);
		const has_ended = progress && progress.request === id && !progress.is_open;
		return has_ended ? null : id;
	}

	on_answer() {
		const { state } = this;
		if (!state.outage) return;
		const seconds = (Date.now() - state.outage.since) / 1000;
		state.outage = null;
		this.overview_due = 0;
		this.show_notice(
			{ tone: "green", text: site_back_text(this.tools.__, seconds) },
			BACK_NOTICE_SECONDS
		);
	}

	/** A refusal is said as it is; where no server answers, that is what a restart looks like from here. */
	on_error(error) {
		const { state } = this;
		if (error.refused) return this.show_notice({ tone: "red", text: error.message });
		const shown =
			state.progress && state.progress.is_open
				? state.progress
				: state.overview && state.overview.current;
		state.outage = {
			since: state.outage ? state.outage.since : Date.now(),
			is_restart: Boolean(this.followed_request || shown),
			is_migration: Boolean(shown && shown.planned_steps.includes("migrate")),
		};
		this.draw();
	}

	show_notice(notice, seconds) {
		clearTimeout(this.notice_timer);
		this.state.notice = notice;
		if (seconds) this.notice_timer = setTimeout(() => this.show_notice(null), seconds * 1000);
		this.draw();
	}

	on_requested(id) {
		this.followed_request = id;
		this.show_notice(null);
		this.refresh_now();
	}

	async cancel(id) {
		this.state.is_cancelling = true;
		this.draw();
		if (!(await this.run_action("cancel", { request: id }))) this.state.is_cancelling = false;
		this.draw();
	}

	async discard(job) {
		const { __ } = this.tools;
		const title = __("Discard this job?");
		const text = __("{0} is marked as failed and does not run again by itself.", [job.method]);
		if (await confirm(this.element, this.tools, { title, text, action: __("Discard") }))
			await this.run_action("discard", { job: job.id });
	}

	/** Call a method and show the server's answer; resolves to whether the action was done. */
	async run_action(method, args) {
		const { __ } = this.tools;
		try {
			const { sentence } = await this.call(method, args);
			this.show_notice({ tone: "green", text: sentence });
			this.refresh_now();
			return true;
		} catch (error) {
			const unknown = __(
				"No server answered, so it is not known whether this was done. Look again when the site is back."
			);
			this.show_notice({ tone: "red", text: error.refused ? error.message : unknown });
			return false;
		}
	}

	async toggle_request(id) {
		const { expanded } = this.state;
		if (expanded.delete(id)) return this.draw();
		expanded.set(id, null);
		this.draw();
		try {
			const progress = await this.call("progress", { request: id, after: 0 });
			if (expanded.has(id)) expanded.set(id, progress);
			this.draw();
		} catch (error) {
			expanded.delete(id);
			this.on_error(error);
		}
	}

	async load_older(before) {
		const { state } = this;
		try {
			const { requests } = await this.call("history", { limit: HISTORY_LIMIT, before });
			state.older_requests = [...state.older_requests, ...requests];
			state.has_all_requests = requests.length < HISTORY_LIMIT;
			this.draw();
		} catch (error) {
			this.on_error(error);
		}
	}
}
