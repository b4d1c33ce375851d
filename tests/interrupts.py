"""Raises an exception at a chosen place of a call, as the handler of a signal may: a tracer that counts the places."""

import dis
import sys
from functools import cache
from pathlib import Path

import bandit

PACKAGE = str(Path(bandit.__file__).parent)
ALL = sys.maxsize


class Interrupted(BaseException):
    """What the handler of a signal raises; no code of the package may catch it for good."""


class Interrupter:
    """Counts the places of a call at which an exception can arrive, and raises at one of them.

    Places are in files of the package: the beginning of each function, each line, and the moment after each call.
    CPython runs the handlers of signals at the first and the last of these and at jumps back, which begin a line. The
    exit of a `with` is a line for a tracer only: no handler runs between the block and the `__exit__`, which is a place
    of its own where it is written in Python. So is a `try`, which does nothing and which no `with` around it covers.
    """

    def __init__(self, at):
        self.left = at
        self.seen = 0
        self.where = None

    def run(self, call):
        """Make the call with the exception; return whether it was raised, and what the call returned if it was not."""
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            result = call()
        except Interrupted:
            return True, None
        finally:
            sys.settrace(before)
        return False, result

    def _enter(self, frame, event, _):
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        frame.f_trace_opcodes = True
        self._place(frame, event)
        return self._inside

    def _inside(self, frame, event, _):
        for_tracers, after_call = _offsets(frame.f_code)
        if (event == "line" and frame.f_lasti not in for_tracers) or (
            event == "opcode" and frame.f_lasti in after_call
        ):
            self._place(frame, event)
        return self._inside

    def _place(self, frame, event):
        if self.where is not None:
            return
        self.seen += 1
        self.left -= 1
        if self.left < 0:
            self.where = f"{frame.f_code.co_filename.removeprefix(PACKAGE)}:{frame.f_lineno} {event}"
            raise Interrupted(self.where)


@cache
def _offsets(code):
    """Return the offsets in a code that are lines for a tracer only, and those that follow a call."""
    all_steps = list(dis.get_instructions(code))
    idle = {each.offset for each in all_steps if each.opname == "NOP" and not each.is_jump_target}
    steps = [each for each in all_steps if each.opname not in {"PRECALL", "NOP"}]
    names = [each.opname for each in steps]
    leaves = {
        each.offset
        for place, each in enumerate(steps)
        if (names[place : place + 4] == ["LOAD_CONST"] * 3 + ["CALL"] and steps[place + 3].arg == 2)
        or names[place : place + 2] == ["PUSH_EXC_INFO", "WITH_EXCEPT_START"]
    }
    after_call = {
        each.offset for name, each in zip(names, steps[1:], strict=False) if name in {"CALL", "CALL_FUNCTION_EX"}
    }
    return frozenset(leaves | idle), frozenset(after_call)


def places_of(call):
    """Return how many places a call has, by making it once without an exception."""
    counting = Interrupter(ALL)
    counting.run(call)
    return counting.seen
