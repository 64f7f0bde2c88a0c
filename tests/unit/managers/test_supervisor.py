"""supervisor's words."""

from safe_restart.engine.managers import base


def test_every_state_of_supervisor_is_known():
	from supervisor.states import ProcessStates, getProcessStateDescription

	from safe_restart.engine.managers.supervisor import STATES

	codes = [value for name, value in vars(ProcessStates).items() if name.isupper()]
	assert set(codes) == set(STATES), [getProcessStateDescription(code) for code in codes]
	assert {state for state in STATES.values() if state in base.UP} == {"running", "starting"}
