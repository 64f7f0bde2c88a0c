// The demo's page: what Frappe's desk would give the board.

import { Board } from "/assets/safe_restart/js/board/board.js";

const NOBODY_ANSWERS = [502, 503, 504];

async function call(method, args) {
	const response = await fetch(`/api/method/safe_restart.api.${method}`, {
		method: "POST",
		headers: { "Content-Type": "application/json" },
		body: JSON.stringify(args),
	});
	if (NOBODY_ANSWERS.includes(response.status)) throw new Error(response.statusText);
	if (response.status === 500)
		throw refusal("The server failed; its log is logs/frappe-web.error.log in the bench.");
	const answer = await response.json();
	if (response.ok) return answer.message;
	throw refusal(answer.exception);
}

function refusal(sentence) {
	return Object.assign(new Error(sentence), { refused: true });
}

function translate(text, values = []) {
	return text.replace(/{(\d+)}/g, (_, place) => values[place]);
}

const theme = document.getElementById("theme");
theme.addEventListener("change", () => {
	if (theme.value) document.documentElement.dataset.theme = theme.value;
	else delete document.documentElement.dataset.theme;
});
document.getElementById("work").addEventListener("click", async () => {
	await call("give_work", {}).catch(() => {}); // the board says when nobody answers
	board.refresh_now();
});

const board = new Board(document.getElementById("board"), {
	call,
	translate,
	confirm_name: "demo.localhost",
});
board.start();
