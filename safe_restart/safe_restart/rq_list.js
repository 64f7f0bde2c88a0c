// Appended to the list scripts of RQ Job and RQ Worker: a way from the workers to their restart.
for (const doctype of ["RQ Job", "RQ Worker"]) {
	const settings = frappe.listview_settings[doctype];
	if (!settings || settings.has_safe_restart) continue;
	settings.has_safe_restart = true;
	const onload = settings.onload;
	settings.onload = function (listview) {
		onload?.call(this, listview);
		if (frappe.user.has_role("System Manager")) {
			listview.page.add_inner_button(__("Safe Restart"), () => frappe.set_route("safe-restart"));
		}
	};
}
