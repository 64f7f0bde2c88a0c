// Figures, times and the engine's words as people read them. Pure: no element is made here.

/** Seconds as people say them: 0.42 s, 12 s, 4 min 5 s, 2 h 3 min. */
export function duration(__, seconds) {
	if (seconds < 10) return __("{0} s", [Number(seconds.toFixed(seconds < 1 ? 2 : 1))]);
	if (seconds < 60) return __("{0} s", [Math.round(seconds)]);
	const minutes = Math.floor(seconds / 60);
	if (minutes < 60) {
		const rest = Math.floor(seconds % 60);
		return rest ? __("{0} min {1} s", [minutes, rest]) : __("{0} min", [minutes]);
	}
	const hours = Math.floor(minutes / 60);
	return hours < 48 ? __("{0} h {1} min", [hours, minutes % 60]) : __("{0} days", [Math.floor(hours / 24)]);
}

/** One sentence for one, another for any other number. */
export function pluralize(number, one, many) {
	return number === 1 ? one : many;
}

/** How often a job was interrupted before; empty where it never was. */
export function attempts_text(__, attempts) {
	return attempts
		? pluralize(attempts, __("interrupted once"), __("interrupted {0} times", [attempts]))
		: "";
}

const TONES = {
	completed: "green",
	done: "green",
	idle: "green",
	failed: "red",
	running: "blue",
	watching: "blue",
	busy: "blue",
	cancelled: "gray",
	refused: "gray",
	queued: "gray",
	suspended: "orange",
	held: "orange",
};

export function tone_of(state) {
	return TONES[state] || "gray";
}

export function status_text(__, status) {
	const texts = {
		queued: __("Queued"),
		running: __("Running"),
		watching: __("Watching the last jobs"),
		completed: __("Completed"),
		failed: __("Failed"),
		cancelled: __("Cancelled"),
		refused: __("Refused"),
		done: __("Done"),
		idle: __("Idle"),
		busy: __("Busy"),
		suspended: __("Suspended"),
		started: __("Starting"),
		held: __("Held"),
		delayed: __("Delayed"),
	};
	return texts[status] || status;
}

/** What a step does; a name that is not known is shown as it is. */
export function step_text(__, name) {
	const texts = {
		preflight: __("Check that a restart can succeed"),
		"before-hooks": __("Tell apps that a restart begins"),
		suspend: __("Keep workers from new jobs"),
		drain: __("Wait for the running jobs"),
		"request-stop": __("Ask the workers to stop, each when it has no job"),
		leave: __("Ask the workers of this host to stop, each when it has no job"),
		"hand-over": __("Wait until you have restarted the bench where it runs"),
		maintenance: __("Put the sites into maintenance"),
		"stop-for-migration": __("Stop workers and scheduler for the migration"),
		migrate: __("Migrate the sites"),
		start: __("Start everything again"),
		restore: __("Take the sites out of maintenance"),
		"begin-services": __("Begin to replace the services"),
		stop: __("Stop the old workers"),
		interrupt: __("Interrupt the jobs that outlast their grace"),
		"restart-redis": __("Restart Redis"),
		replace: __("Replace what can be new now"),
		"replace-interrupted": __("Replace what was interrupted"),
		follow: __("Replace each busy worker after its job"),
		rescue: __("Look for interrupted and lost jobs"),
		resume: __("Let workers take jobs again"),
		verify: __("Check that everything works"),
		hold: __("Hold the bench drained"),
		"roll-back": __("See that the bench works as before"),
		"after-hooks": __("Tell apps that it is over"),
	};
	return texts[name] || name;
}
