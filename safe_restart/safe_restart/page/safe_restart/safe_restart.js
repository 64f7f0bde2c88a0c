// Frappe runs a page's script in the global scope, so ours is a function.
(() => {
	/** Ask the API without Frappe's pop-ups: while the web process is replaced nobody answers, and that is no error. */
	async function call(method, args) {
		let response, body;
		try {
			response = await fetch(`/api/method/safe_restart.api.${method}`, {
				method: "POST",
				headers: {
					Accept: "application/json",
					"Content-Type": "application/json",
					"X-Frappe-CSRF-Token": frappe.csrf_token,
				},
				body: JSON.stringify(args || {}),
			});
			body = await response.json();
		} catch {
			body = null;
		}
		if (response?.ok && body) return body.message;
		const is_refused = Boolean(body) && response.status < 500;
		throw Object.assign(new Error(is_refused ? sentence(body) : __("No server answers.")), {
			refused: is_refused,
		});
	}

	/** What a refusal says to people. */
	function sentence(body) {
		const messages = JSON.parse(body._server_messages || "[]").map(
			(message) => JSON.parse(message).message
		);
		const said = messages.join(" ") || (body.exception || "").replace(/^[\w.]+: /, "") || __("Refused.");
		return new DOMParser().parseFromString(said, "text/html").body.textContent;
	}

	function link(kind, id) {
		if (kind === "job") return frappe.utils.get_form_link("RQ Job", id);
		if (kind === "worker") return frappe.utils.get_form_link("RQ Worker", id);
		if (kind === "request") return frappe.utils.get_form_link("Restart Request", id);
		if (kind === "all-jobs")
			return frappe.utils.generate_route({ type: "doctype", name: "RQ Job", doc_view: "List" });
		if (kind === "all-workers")
			return frappe.utils.generate_route({ type: "doctype", name: "RQ Worker", doc_view: "List" });
		return null;
	}

	function subscribe(callback) {
		frappe.realtime.on("safe_restart", callback);
		return () => frappe.realtime.off("safe_restart", callback);
	}

	frappe.pages["safe-restart"].on_page_load = async function (wrapper) {
		const page = frappe.ui.make_app_page({
			parent: wrapper,
			title: __("Safe Restart"),
			single_column: true,
		});
		for (const [label, ...route] of [
			[__("Restart Requests"), "List", "Restart Request"],
			[__("Background Jobs"), "List", "RQ Job"],
			[__("Workers"), "List", "RQ Worker"],
			[__("Settings"), "Form", "Safe Restart Settings"],
		]) {
			page.add_inner_button(label, () => frappe.set_route(...route));
		}
		const element = $("<div>").appendTo(page.main)[0];
		await frappe.require(["safe_restart.bundle.css", "safe_restart.bundle.js"]);
		wrapper.board = new window.safe_restart.Board(element, {
			call,
			translate: (text, values) => __(text, values),
			confirm_name: frappe.boot.sitename,
			link,
			subscribe,
		});
		if (frappe.get_route()[0] === "safe-restart") wrapper.board.start();
	};

	frappe.pages["safe-restart"].on_page_show = (wrapper) => wrapper.board?.start();
	frappe.pages["safe-restart"].on_page_hide = (wrapper) => wrapper.board?.stop();
})();
