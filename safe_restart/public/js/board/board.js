// The board: shows a bench and its restarts, and asks for one. It knows nothing of Frappe but what it is given.

import { confirm } from "./confirm.js";
import { RestartDialog } from "./restart_dialog.js";
import { render } from "./dom.js";
import { back_text } from "./headline.js";
import { Poller } from "./poller.js";
import { view } from "./layout.js";

const OVERVIEW_SECONDS = 3;
const PROGRESS_SECONDS = 0.5;
const BACK_SECONDS = 10;
const HISTORY_LIMIT = 20;

export class Board {
	/**
	 * @param element where the board is put; whatever is inside is replaced
	 * @param call (method, args) => a promise of the answer; it rejects with an Error whose `refused` is true where the
	 *     server refused, and false where no server answered
	 * @param translate (text, values) => the text in the reader's language, with {0} replaced by values[0]
	 * @param confirm_name what has to be typed before jobs may be interrupted: the site's name
	 * @param link (kind, id) => a URL or null; optional. Kinds: job, worker, request, all-jobs, all-workers
	 * @param subscribe (callback) => a function that ends it; optional. The board looks at once when it is called back
	 */
	constructor(element, { call, translate, confirm_name, link, subscribe }) {
		Object.assign(this, { element, call, subscribe });
		this.tools = { __: translate, link, confirm_name };
		this.state = {
			overview: null,
			progress: null, // of the restart that is shown: the current one, else the last
			events: [],
			away: null,
			notice: null,
			is_cancelling: false,
			opened: new Map(), // what is expanded in the history: its progress by request, null until it is there
			older: [],
			has_all: false,
		};
		this.overview_due = 0;
		this.poller = new Poller(
			() => this.look(),
			(error) => this.missed(error)
		);
		this.root = document.createElement("div");
		this.dialog = new RestartDialog(element, { call, tools: this.tools, asked: (id) => this.asked(id) });
		this.actions = {
			open: () => this.dialog.open(this.state.overview),
			dismiss: () => this.say(null),
			toggle: (id) => this.toggle(id),
			older: (before) => this.older(before),
			cancel: (id) => this.cancel(id),
			requeue: (job) => this.act("requeue", { job: job.id }),
			discard: (job) => this.discard(job),
		};
	}

	start() {
		this.element.classList.add("safe-restart");
		this.element.replaceChildren(this.root);
		this.unsubscribe = this.subscribe && this.subscribe(() => this.look_now());
		this.draw();
		this.poller.start();
	}

	stop() {
		this.poller.stop();
		this.dialog.close();
		if (this.unsubscribe) this.unsubscribe();
	}

	draw() {
		render(this.root, view(this.tools, this.state, this.actions));
	}

	look_now() {
		this.overview_due = 0;
		this.poller.soon();
	}

	/** One round of questions; returns the seconds until the next. */
	async look() {
		if (!this.state.overview) await this.survey();
		await this.follow();
		if (Date.now() >= this.overview_due) await this.survey();
		this.answered();
		this.draw();
		const { overview, progress } = this.state;
		const is_moving = this.following || (progress ? progress.is_open : overview.current);
		return is_moving && !overview.abandoned ? PROGRESS_SECONDS : OVERVIEW_SECONDS;
	}

	async survey() {
		this.state.overview = await this.call("overview", {});
		this.overview_due = Date.now() + OVERVIEW_SECONDS * 1000;
	}

	/** Keep up with the restart that is shown, while it runs. */
	async follow() {
		const { state } = this;
		const shown = state.overview.current || state.overview.last;
		const id = this.following || (shown && shown.request);
		if (!id || (state.progress && state.progress.request === id && !state.progress.is_open)) return;
		const is_same = state.progress && state.progress.request === id;
		const events = is_same ? state.events : [];
		const after = events.length ? events[events.length - 1].number : 0;
		const progress = await this.call("progress", { request: id, after });
		state.progress = progress;
		state.events = [...events, ...progress.events];
		if (progress.is_open) return;
		this.following = null;
		state.is_cancelling = false;
		this.overview_due = 0;
	}

	answered() {
		const { state } = this;
		if (!state.away) return;
		const seconds = (Date.now() - state.away.since) / 1000;
		state.away = null;
		this.overview_due = 0;
		this.say({ tone: "green", text: back_text(this.tools.__, seconds) }, BACK_SECONDS);
	}

	/** A refusal is said as it is; where no server answers, that is what a restart looks like from here. */
	missed(error) {
		const { state } = this;
		if (error.refused) return this.say({ tone: "red", text: error.message });
		const shown =
			state.progress && state.progress.is_open
				? state.progress
				: state.overview && state.overview.current;
		state.away = {
			since: state.away ? state.away.since : Date.now(),
			is_restart: Boolean(this.following || shown),
			is_migration: Boolean(shown && shown.planned_steps.includes("migrate")),
		};
		this.draw();
	}

	say(notice, seconds) {
		clearTimeout(this.saying);
		this.state.notice = notice;
		if (seconds) this.saying = setTimeout(() => this.say(null), seconds * 1000);
		this.draw();
	}

	asked(id) {
		this.following = id;
		this.say(null);
		this.look_now();
	}

	async cancel(id) {
		this.state.is_cancelling = true;
		this.draw();
		if (!(await this.act("cancel", { request: id }))) this.state.is_cancelling = false;
		this.draw();
	}

	async discard(job) {
		const { __ } = this.tools;
		const title = __("Discard this job?");
		const text = __("{0} is marked as failed and does not run again by itself.", [job.method]);
		if (await confirm(this.element, this.tools, { title, text, act: __("Discard") }))
			await this.act("discard", { job: job.id });
	}

	/** Do something and say what the server says to that; resolves to whether it was done. */
	async act(method, args) {
		const { __ } = this.tools;
		try {
			const { sentence } = await this.call(method, args);
			this.say({ tone: "green", text: sentence });
			this.look_now();
			return true;
		} catch (error) {
			const unknown = __(
				"No server answered, so it is not known whether this was done. Look again when the site is back."
			);
			this.say({ tone: "red", text: error.refused ? error.message : unknown });
			return false;
		}
	}

	async toggle(id) {
		const { opened } = this.state;
		if (opened.delete(id)) return this.draw();
		opened.set(id, null);
		this.draw();
		try {
			const progress = await this.call("progress", { request: id, after: 0 });
			if (opened.has(id)) opened.set(id, progress);
			this.draw();
		} catch (error) {
			opened.delete(id);
			this.missed(error);
		}
	}

	async older(before) {
		const { state } = this;
		try {
			const { requests } = await this.call("history", { limit: HISTORY_LIMIT, before });
			state.older = [...state.older, ...requests];
			state.has_all = requests.length < HISTORY_LIMIT;
			this.draw();
		} catch (error) {
			this.missed(error);
		}
	}
}
