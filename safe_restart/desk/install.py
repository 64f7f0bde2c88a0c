"""What is done when the app is installed on a site or uninstalled from it."""

import frappe

from . import journal_sync

DOCTYPE = "Restart Request"


def after_install() -> None:
	"""Add a notification of failed restarts, and create the documents of earlier restarts."""
	add_notification()
	journal_sync.sync()


def add_notification() -> None:
	"""Notify System Managers of failed restarts.

	The Notification is no standard one of the app, since those cannot be changed on a site.
	"""
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
	"""Delete Notifications and Webhooks of the DocType, which would fail without it.

	The settings and the journal stay: they belong to the bench, and the command line goes on using them.
	"""
	for doctype, field in (("Notification", "document_type"), ("Webhook", "webhook_doctype")):
		for name in frappe.get_all(doctype, filters={field: DOCTYPE}, pluck="name"):
			frappe.delete_doc(doctype, name)
