frappe.listview_settings["Restart Request"] = {
	hide_name_column: false,
	onload(listview) {
		listview.page.add_inner_button(__("Safe Restart"), () => frappe.set_route("safe-restart"));
		listview.page.add_inner_button(__("Background Jobs"), () => frappe.set_route("List", "RQ Job"));
	},
};
