"""A loop of SciPy's as a generator of its steps, so that each can be shown, and the last one need not be reached."""

from __future__ import annotations

from collections.abc import Callable, Generator
from queue import SimpleQueue
from threading import Thread
from typing import Any

Ask = Callable[[str, Any], Any]
"""Hands a question of some kind over to the caller's thread; its answer."""

STEP = "step"
"""The kind of question that is a step to be shown; it has no answer."""


class _Stopped(BaseException):
    """Ends the loop when nobody asks for its steps any more."""


def in_steps(solve: Callable[[Ask], Any], answer: Callable[[str, Any], Any]) -> Generator[Any, None, Any]:
    """Run `solve` in a thread of its own: yields what it asks as a `STEP`, and returns its result.

    `answer` is called in the caller's thread with the kind and the content of all other questions. One of the two
    threads always waits, so torch is used by one of them only. Raises what `solve` or `answer` raise.
    """
    questions: SimpleQueue[tuple[str, Any]] = SimpleQueue()
    answers: SimpleQueue[Any] = SimpleQueue()

    def ask(kind: str, item: Any) -> Any:
        questions.put((kind, item))
        found = answers.get()
        if isinstance(found, BaseException):
            raise found
        return found

    def work() -> None:
        try:
            questions.put((_DONE, solve(ask)))
        except BaseException as error:
            questions.put((_FAILED, error))

    thread = Thread(target=work, name="sgdsheet-solver", daemon=True)
    thread.start()
    try:
        while True:
            kind, item = questions.get()
            if kind == _DONE:
                return item
            if kind == _FAILED:
                raise item
            if kind == STEP:
                yield item
                answers.put(None)
            else:
                answers.put(answer(kind, item))
    finally:
        answers.put(_Stopped())
        thread.join()


_DONE, _FAILED = "done", "failed"
