import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { Poller } from "../../safe_restart/public/js/board/poller.js";

let poller;
let polls;
let errors;
let answer;

/** Let promises settle, then let the time pass. */
async function pass(seconds) {
	for (let round = 0; round < 10; round++) await Promise.resolve();
	mock.timers.tick(seconds * 1000);
	for (let round = 0; round < 10; round++) await Promise.resolve();
}

beforeEach(async () => {
	mock.timers.enable({ apis: ["setTimeout"] });
	globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };
	polls = 0;
	errors = [];
	answer = () => Promise.resolve(3);
	poller = new Poller(
		() => {
			polls++;
			return answer();
		},
		(error) => errors.push(error.message)
	);
	poller.start();
	await pass(0);
});

afterEach(() => {
	poller.stop();
	mock.timers.reset();
});

test("the next poll comes after as many seconds as the last one asked for", async () => {
	await pass(2.9);
	assert.equal(polls, 1);
	await pass(0.1);
	assert.equal(polls, 2);
});

test("pauses grow while no server answers, and shrink again after an answer", async () => {
	answer = () => Promise.reject(new Error("down"));
	await pass(3);
	for (const seconds of [0.5, 1, 2, 4, 5, 5]) {
		const before = polls;
		await pass(seconds - 0.1);
		assert.equal(polls, before);
		await pass(0.1);
		assert.equal(polls, before + 1);
	}
	assert.equal(errors.length, 7);
});

test("an answer that never comes is an error after 8 seconds", async () => {
	answer = () => new Promise(() => {});
	await pass(3);
	await pass(8);
	assert.deepEqual(errors, ["no answer within 8 s"]);
});

test("a poll that is wanted during another one follows it at once", async () => {
	let respond;
	answer = () => new Promise((resolve) => (respond = resolve));
	await pass(3);
	poller.poll_now();
	poller.poll_now();
	assert.equal(polls, 2);
	respond(3);
	await pass(0);
	assert.equal(polls, 3);
});

test("a hidden page polls every 30 seconds, a stopped one never", async () => {
	globalThis.document.hidden = true;
	await pass(3);
	assert.equal(polls, 2);
	await pass(29);
	assert.equal(polls, 2);
	await pass(1);
	assert.equal(polls, 3);
	poller.stop();
	await pass(60);
	assert.equal(polls, 3);
});
