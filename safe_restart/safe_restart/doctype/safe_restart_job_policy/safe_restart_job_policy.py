from frappe.model.document import Document


class SafeRestartJobPolicy(Document):
	# begin: auto-generated types
	# end: auto-generated types
	pass
