// Asks before something that cannot be taken back.

import { h, render } from "./dom.js";

/** Resolves to whether the person agreed; Esc means no. */
export function confirm(parent, { __ }, { title, text, action }) {
	const element = document.createElement("dialog");
	element.className = "sr-dialog sr-dialog-small";
	element.setAttribute("aria-labelledby", "sr-confirm-title");
	parent.append(element);
	render(
		element,
		h(
			"form",
			{ method: "dialog" },
			h("header", null, h("h2", { id: "sr-confirm-title" }, title)),
			h("div", { class: "sr-dialog-body" }, h("p", null, text)),
			h(
				"footer",
				null,
				h("button", { key: "no", class: "sr-button", value: "no" }, __("Keep it")),
				h("button", { key: "yes", class: "sr-button sr-danger-filled", value: "yes" }, action)
			)
		)
	);
	element.showModal();
	return new Promise((resolve) => {
		element.addEventListener("close", () => {
			element.remove();
			resolve(element.returnValue === "yes");
		});
	});
}
