import assert from "node:assert/strict";
import { test } from "node:test";
import { headline } from "../../safe_restart/public/js/board/headline.js";

const tools = { __: (text, values = []) => text.replace(/{(\d+)}/g, (_, index) => values[index]) };
const service = { name: "web", state: "running", is_intentionally_stopped: false };
const healthy = {
	abandoned: false,
	current: null,
	suspended_by: null,
	suspended_by_bench: null,
	problems: [],
	services: [service],
	workers: [{ job: { id: "1" } }, { job: null }],
	queues: [{ depth: 2 }, { depth: 1 }],
	held_jobs: [],
};
const restart = { strategy: "rolling", status: "running", planned_steps: ["preflight", "drain"], steps: [] };

function headline_of(overview, state = {}) {
	return headline(tools, { overview: { ...healthy, ...overview }, progress: null, outage: null, ...state });
}

test("a healthy bench is green, with its workers and jobs", () => {
	assert.deepEqual(headline_of({}), ["green", "All is well. 1 of 2 workers have a job, 3 jobs wait."]);
});

test("what is wrong has the tone of its urgency", () => {
	const held = { held_jobs: [{ kind: "held" }, { kind: "delayed" }] };
	const examples = [
		["red", /left half done/, { abandoned: true, current: restart }],
		["blue", /^Restarting \(rolling\)/, { current: restart, problems: ["Redis is down"] }],
		["orange", /a restart of other, on the same Redis/, { suspended_by_bench: "other" }],
		["orange", /somebody suspended the queues/, { suspended_by: "maintenance" }],
		["red", /needs you/, { problems: ["Redis is down"], workers: [] }],
		["orange", /1 of 1 services do not run/, { services: [{ ...service, state: "stopped" }] }],
		["orange", /No worker is registered/, { workers: [], ...held }],
		["orange", /^1 interrupted job is held/, held],
	];
	for (const [tone, text, overview] of examples) {
		const [actual_tone, actual_text] = headline_of(overview);
		assert.equal(actual_tone, tone);
		assert.match(actual_text, text);
	}
});

test("a service stopped on purpose and our own suspension raise no alarm", () => {
	const stopped = { ...service, state: "stopped", is_intentionally_stopped: true };
	const [tone] = headline_of({ services: [service, stopped], suspended_by: "safe-restart:bench:1" });
	assert.equal(tone, "green");
});

test("a restart shows which step of how many it is at", () => {
	const steps = [{ name: "preflight" }, { name: "drain" }];
	const [, text] = headline_of({ current: restart }, { progress: { ...restart, is_open: true, steps } });
	assert.equal(text, "Restarting (rolling), step 2 of 2: Wait for the running jobs");
});

test("while no server answers, the restart or migration under way is the reason", () => {
	const examples = [
		["blue", /in maintenance while it is migrated/, { is_restart: true, is_migration: true }],
		["blue", /is restarting/, { is_restart: true, is_migration: false }],
		["orange", /does not answer/, { is_restart: false, is_migration: false }],
	];
	for (const [tone, text, outage] of examples) {
		const [actual_tone, actual_text] = headline_of({}, { outage });
		assert.equal(actual_tone, tone);
		assert.match(actual_text, text);
	}
});
