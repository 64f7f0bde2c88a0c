from frappe.model.document import Document

from safe_restart.safe_restart.doctype.restart_request.restart_request import refuse


class RestartRequestStep(Document):
	# begin: auto-generated types
	# This code is auto-generated. Do not modify anything in this block.

	from typing import TYPE_CHECKING

	if TYPE_CHECKING:
		from frappe.types import DF

		detail: DF.SmallText | None
		parent: DF.Data
		parentfield: DF.Data
		parenttype: DF.Data
		seconds: DF.Float
		started_at: DF.Datetime | None
		status: DF.Literal["running", "done", "failed"]
		step: DF.Data | None
	# end: auto-generated types

	def validate(self) -> None:
		"""Runs only where somebody writes this row by itself, past its Restart Request."""
		refuse()

	def on_trash(self) -> None:
		refuse()

	def before_rename(self, old: str, new: str, merge: bool = False) -> None:
		refuse()
