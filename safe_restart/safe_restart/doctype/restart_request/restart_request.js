frappe.ui.form.on("Restart Request", {
	refresh(frm) {
		frm.disable_save();
		frm.add_custom_button(__("Safe Restart"), () => frappe.set_route("safe-restart"));
	},
});
