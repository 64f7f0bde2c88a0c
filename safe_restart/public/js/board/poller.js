// Asks again and again, also while nobody answers.

const BACKOFF_SECONDS = [0.5, 1, 2, 4, 5];
const HIDDEN_SECONDS = 30;
// A web process that was told to stop may accept a request and never answer it.
const ANSWER_TIMEOUT_SECONDS = 8;

export class Poller {
	/**
	 * `work` asks the server and returns the seconds until it wants to be called again. Where it rejects, `failed` is
	 * given the error, and it is called again after a pause that grows.
	 */
	constructor(work, failed) {
		this.work = work;
		this.failed = failed;
		this.shown = () => document.hidden || this.soon();
	}

	start() {
		this.is_running = true;
		document.addEventListener("visibilitychange", this.shown);
		this.soon();
	}

	stop() {
		this.is_running = false;
		document.removeEventListener("visibilitychange", this.shown);
		clearTimeout(this.timer);
	}

	/** Ask at once; where it is asking already, again as soon as that is answered. */
	soon() {
		this.again = this.is_asking;
		if (!this.is_asking && this.is_running) this.ask();
	}

	async ask() {
		clearTimeout(this.timer);
		this.is_asking = true;
		let seconds;
		try {
			seconds = await within(this.work(), ANSWER_TIMEOUT_SECONDS);
			this.failures = 0;
		} catch (error) {
			this.failures = (this.failures || 0) + 1;
			seconds = BACKOFF_SECONDS[Math.min(this.failures, BACKOFF_SECONDS.length) - 1];
			this.failed(error);
		}
		this.is_asking = false;
		if (!this.is_running) return;
		if (this.again) seconds = 0;
		else if (document.hidden) seconds = HIDDEN_SECONDS;
		this.again = false;
		this.timer = setTimeout(() => this.ask(), seconds * 1000);
	}
}

/** What `promise` resolves to, unless that takes longer. */
export function within(promise, seconds) {
	let timer;
	const late = new Promise((_, reject) => {
		timer = setTimeout(() => reject(new Error(`no answer within ${seconds} s`)), seconds * 1000);
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
