// Polls the server, also while it does not answer.

const BACKOFF_SECONDS = [0.5, 1, 2, 4, 5];
const HIDDEN_SECONDS = 30;
// A web process that was told to stop may accept a request and never answer it.
const ANSWER_TIMEOUT_SECONDS = 8;

export class Poller {
	/**
	 * `poll` asks the server and resolves to the seconds until the next poll. Where it rejects, `on_error` is given the
	 * error, and the next poll comes after a pause that grows.
	 */
	constructor(poll, on_error) {
		this.poll = poll;
		this.on_error = on_error;
		this.on_visibility_change = () => document.hidden || this.poll_now();
	}

	start() {
		this.is_running = true;
		document.addEventListener("visibilitychange", this.on_visibility_change);
		this.poll_now();
	}

	stop() {
		this.is_running = false;
		document.removeEventListener("visibilitychange", this.on_visibility_change);
		clearTimeout(this.timer);
	}

	/** Poll at once; during a poll: once more, as soon as that one is answered. */
	poll_now() {
		this.is_poll_wanted = this.is_polling;
		if (!this.is_polling && this.is_running) this.run();
	}

	async run() {
		clearTimeout(this.timer);
		this.is_polling = true;
		let seconds;
		try {
			seconds = await with_timeout(this.poll(), ANSWER_TIMEOUT_SECONDS);
			this.failures = 0;
		} catch (error) {
			this.failures = (this.failures || 0) + 1;
			seconds = BACKOFF_SECONDS[Math.min(this.failures, BACKOFF_SECONDS.length) - 1];
			this.on_error(error);
		}
		this.is_polling = false;
		if (!this.is_running) return;
		if (this.is_poll_wanted) seconds = 0;
		else if (document.hidden) seconds = HIDDEN_SECONDS;
		this.is_poll_wanted = false;
		this.timer = setTimeout(() => this.run(), seconds * 1000);
	}
}

/** Resolves as `promise` does; rejects where that takes longer. */
function with_timeout(promise, seconds) {
	let timer;
	const timeout = new Promise((_, reject) => {
		timer = setTimeout(() => reject(new Error(`no answer within ${seconds} s`)), seconds * 1000);
	});
	return Promise.race([promise, timeout]).finally(() => clearTimeout(timer));
}
