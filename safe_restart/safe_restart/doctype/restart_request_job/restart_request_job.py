from frappe.model.document import Document

from safe_restart.safe_restart.doctype.restart_request.restart_request import refuse


class RestartRequestJob(Document):
	# begin: auto-generated types
	# end: auto-generated types

	def validate(self):
		"""Runs only where somebody writes this row by itself, past its Restart Request."""
		refuse()

	def on_trash(self):
		refuse()

	def before_rename(self, old, new, merge=False):
		refuse()
