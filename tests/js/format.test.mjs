import assert from "node:assert/strict";
import { test } from "node:test";
import {
	attempts_text,
	duration,
	pluralize,
	status_text,
	step_text,
	tone_of,
} from "../../safe_restart/public/js/board/format.js";

/** The text as it is, with {0} replaced by values[0], as the demo does. */
const translate = (text, values = []) => text.replace(/{(\d+)}/g, (_, index) => values[index]);

test("a duration has the unit that fits and no digit too many", () => {
	const examples = [
		[0, "0 s"],
		[0.4249, "0.42 s"],
		[1.25, "1.3 s"],
		[9.96, "10 s"],
		[59.4, "59 s"],
		[60, "1 min"],
		[245, "4 min 5 s"],
		[7380, "2 h 3 min"],
		[172799, "47 h 59 min"],
		[172800, "2 days"],
	];
	for (const [seconds, text] of examples) assert.equal(duration(translate, seconds), text);
});

test("one is said in the singular, any other number in the plural", () => {
	assert.deepEqual(
		[0, 1, 2].map((count) => pluralize(count, "job", "jobs")),
		["jobs", "job", "jobs"]
	);
});

test("attempts are only named where there were some", () => {
	assert.deepEqual(
		[undefined, 0, 1, 3].map((attempts) => attempts_text(translate, attempts)),
		["", "", "interrupted once", "interrupted 3 times"]
	);
});

test("what the board does not know yet is shown by its own name, in gray", () => {
	assert.equal(status_text(translate, "a-new-status"), "a-new-status");
	assert.equal(step_text(translate, "a-new-step"), "a-new-step");
	assert.equal(tone_of("a-new-status"), "gray");
});
