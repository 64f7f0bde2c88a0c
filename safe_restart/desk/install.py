"""What comes with the app on a site, and goes with it."""

import frappe

from . import journal_sync

DOCTYPE = "Restart Request"


def after_install() -> None:
	"""Tell System Managers of failed restarts until somebody chooses otherwise, and show what was restarted before."""
	add_notification()
	journal_sync.sync()


def add_notification() -> None:
	"""An ordinary one, not a standard one of the app: those cannot be changed on a site."""
	frappe.get_doc(
		{
			"doctype": "Notification",
			"name": "Restart Failed",
			"document_type": DOCTYPE,
			"event": "Value Change",
			"value_changed": "status",
			"condition": 'doc.status == "Failed"',
			"channel": "System Notification",
			"subject": "Restart {{ doc.name }} failed",
			"message": "{{ doc.outcome }}",
			"recipients": [{"receiver_by_role": "System Manager"}],
		}
	).insert(ignore_if_duplicate=True)


def before_uninstall() -> None:
	"""What others attached to the DocType would fail without it. The engine's settings and its journal stay: they belong
	to the bench, and the command line works on."""
	for doctype, field in (("Notification", "document_type"), ("Webhook", "webhook_doctype")):
		for name in frappe.get_all(doctype, filters={field: DOCTYPE}, pluck="name"):
			frappe.delete_doc(doctype, name)
