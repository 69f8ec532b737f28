"""The office's door to sgdsheet: a dispatcher for the toolbar and the menu, and the SGD_ functions.

LibreOffice's own Python loads this file from the extension. Nothing heavy may be imported here: sgdsheet's work is
done by another process, see `child.py`.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import uno  # type: ignore[import-not-found]
import unohelper  # type: ignore[import-not-found]
from com.sun.star.awt.MessageBoxType import INFOBOX  # type: ignore[import-not-found]
from com.sun.star.document import XDocumentEventListener  # type: ignore[import-not-found]
from com.sun.star.frame import XDispatch, XDispatchProvider, XTerminateListener  # type: ignore[import-not-found]
from com.sun.star.lang import XInitialization, XServiceInfo  # type: ignore[import-not-found]

_HERE = Path(__file__).parent
sys.path.insert(0, str(_HERE / "pythonpath"))  # before any sgdsheet that is installed for the office's Python

from sgdsheet.apps.libreoffice_ext.office.button_rules import IDLE, STARTING, Button, ButtonRules  # noqa: E402
from sgdsheet.apps.libreoffice_ext.office.calculating_reader import CalculatingAgent  # noqa: E402
from sgdsheet.apps.libreoffice_ext.office.child import GONE, Child  # noqa: E402
from sgdsheet.apps.libreoffice_ext.office.chosen_python import CannotStart  # noqa: E402
from sgdsheet.apps.libreoffice_ext.office.clicks import CommandQueue  # noqa: E402
from sgdsheet.apps.libreoffice_ext.office.office_functions import Evaluator  # noqa: E402
from sgdsheet.hosts.libreoffice.agent.bars import OURS, Bars  # noqa: E402
from sgdsheet.hosts.libreoffice.agent.requests import Agent, is_spreadsheet, key_of  # noqa: E402

_FUNCTIONS, _COMMANDS = "org.sgdsheet.Functions", "org.sgdsheet.Commands"
_ADD_IN, _HANDLER = "com.sun.star.sheet.AddIn", "com.sun.star.frame.ProtocolHandler"
_SCHEME = "org.sgdsheet:"
_CALL = 60.0  # seconds that a function in a cell may take
_MODELS = ("sgd_", "solver_")  # how names begin that say that a workbook is to be trained
_SAVED_AS = (
    "Saved under another name: training has stopped. Press Train to go on, or Undo to take it back. The file of the old"
    " name is as it was saved last."
)
_LINK = "A link in this workbook wants to press a button of sgdsheet. Links cannot do that: press the button yourself."
_HELP = (_HERE.parent / "help.txt").read_text(encoding="utf-8")
_RULES: dict[str, dict[str, Any]] = json.loads((_HERE.parent / "buttons.json").read_text(encoding="utf-8"))
_BAR = {"stop": ("Stop", f"{_SCHEME}stop"), "undo": ("Undo the training", f"{_SCHEME}undo")}
_METHODS: dict[str, str] = json.loads((_HERE.parent / "functions.json").read_text(encoding="utf-8"))


class _ToolbarAgent(Agent):
    """An agent whose office has our buttons: also in the bars on top of a sheet, and they show what can be done."""

    def __init__(self, context: Any, buttons: ButtonRules) -> None:
        super().__init__(context)
        self._bars = Bars(_BAR)
        self._buttons = buttons

    def do_state(self, book: str, state: str) -> None:
        """Note the state of a workbook's training."""
        self._buttons.set_state(book, state)


class _Office:
    """What there is once per office process: the child, which starts on first use, and the queues to it."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._told = False
        self._unanswered = False
        """Whether the child has ended before it had answered all functions."""
        self.buttons = ButtonRules(_RULES)
        self._agent = _ToolbarAgent(context, self.buttons)
        self._calculating_agent = CalculatingAgent(context)
        self._commands = CommandQueue(self.ask, self._failed)
        self.functions = Evaluator(self._call, key_of)
        self._desktop().addTerminateListener(_AtTheEnd(self))
        broadcaster = "com.sun.star.frame.GlobalEventBroadcaster"
        events = context.ServiceManager.createInstanceWithContext(broadcaster, context)
        events.addDocumentEventListener(_DocumentEvents(self))

    def ask(self, message: dict[str, Any], timeout: float, *, anew: bool = True) -> dict[str, Any]:
        """Ask the child, which is started if there is none, and `anew` if it has ended and nobody was told so yet."""
        child = self._child
        if child is None or (anew and not child.alive()):
            with self._lock:
                child = self._child
                if child is None or not child.alive():
                    child = self._child = Child(self._agent.answer, self._calculating_agent.answer, self._ended)
        return child.ask(message, timeout)

    def warm_up_for(self, document: Any) -> None:
        """Have the child load what training needs, which takes seconds, if the document is one that can be trained.

        Whoever opens such a workbook is likely to press a button. Does not wait for it.
        """
        if is_spreadsheet(document) and _has_model(document):
            threading.Thread(target=self._warm_up, name="sgdsheet warming up", daemon=True).start()

    def _warm_up(self) -> None:
        with suppress(CannotStart):  # a click will say so
            self.ask({"warm": True}, _CALL)

    def saved_as(self, old: str, new: str, document: Any) -> None:
        """A workbook has another name now. Buttons and history go by the name: its training ends, Undo goes with it."""
        if old == new:
            return
        if self.buttons.state(old) != IDLE:
            self.buttons.set_state(new, IDLE)
            threading.Thread(target=self._tell_when_ended, args=(old, new, _SAVED_AS), daemon=True).start()
        if self._child is not None or _has_model(document):
            self._commands.put({"saved_as": [old, new]}, new)

    def _tell_when_ended(self, old: str, new: str, text: str) -> None:
        """Say why a training was ended, in place of how it went."""
        end = time.monotonic() + _CALL
        while self.buttons.state(old) != IDLE and time.monotonic() < end:
            time.sleep(0.1)
        self._tell(new, text, "warning")

    def press(self, command: str, book: str) -> None:
        """Have a command done that a person has clicked on."""
        if command == "train" and self.buttons.state(book) == IDLE:
            self.buttons.set_state(book, STARTING)
        options = {"front": True} if self.buttons.shows(command) else {}
        request = {"command": command, "host": "libreoffice", "book": book, "options": options}
        self._commands.put({"command": request}, book)

    def _failed(self, message: dict[str, Any], book: str, text: str, tone: str) -> None:
        command = message.get("command", {}).get("command")
        if command == "train" and self.buttons.state(book) == STARTING:
            self.buttons.set_state(book, IDLE)
        self._tell(book, text, tone)

    def _ended(self) -> None:
        """The child has ended by itself, or was killed: nobody else will say so where it trained.

        Functions in cells that it has not answered show an error; they are calculated again.
        """
        books = self.buttons.trained()
        for book in books:
            self.buttons.set_state(book, IDLE)
        self._agent.leave()
        with self._lock:
            if self._child is not None and not self._child.alive():
                self._child = None
        if self._unanswered:
            self._unanswered = False
            for book in books:
                self._agent.answer({"do": "recalculate", "book": book})

    def close(self) -> None:
        with self._lock:
            if self._child is not None:
                self._child.close()
                self._child = None

    def reasons(self) -> str:
        """Why functions in cells gave errors, the latest first."""
        return "\n\n".join(self.functions.reasons) or "No SGD_ function has given an error since LibreOffice started."

    def _call(self, message: dict[str, Any]) -> dict[str, Any]:
        """A function's call. That there is no child to ask is said once in a window, not once per cell.

        Where the child has ended, the office is not kept waiting for a new one: it has to say so first.
        """
        try:
            reply = self.ask(message, _CALL, anew=False)
        except CannotStart as error:
            if not self._told:
                self._told = True
                self.tell_in_front(str(error), "error")
            raise
        self._unanswered = self._unanswered or reply is GONE
        return reply

    def _tell(self, book: str, text: str, tone: str) -> None:
        """A bar on top of the sheet. Not from a thread that calculates: it may have to wait for the office."""
        self._agent.answer({"do": "message", "book": book, "text": text, "tone": tone})

    def tell_in_front(self, text: str, tone: str) -> None:
        """A bar on top of the sheet in front, soon: whoever calls may be what the office waits for."""
        threading.Thread(target=self._tell_in_front, args=(text, tone), daemon=True).start()

    def _tell_in_front(self, text: str, tone: str) -> None:
        document = self._desktop().getCurrentComponent()
        if document is not None:
            self._tell(key_of(document), text, tone)

    def _desktop(self) -> Any:
        return self._context.ServiceManager.createInstanceWithContext("com.sun.star.frame.Desktop", self._context)


@lru_cache(maxsize=None)  # noqa: UP033 (LibreOffice 7 brings Python 3.8)
def _office() -> _Office:
    return _Office(uno.getComponentContext())


def _has_model(document: Any) -> bool:
    sheets = document.Sheets
    owners = [document, *(sheets.getByIndex(number) for number in range(sheets.Count))]
    return any(name.lower().startswith(_MODELS) for owner in owners for name in owner.NamedRanges.ElementNames)


class _DocumentEvents(unohelper.Base, XDocumentEventListener):  # type: ignore[misc]
    """Sees each workbook that gets a window, and each that gets another name."""

    def __init__(self, office: _Office) -> None:
        self._office = office
        self._names: dict[str, str] = {}
        """The names of the documents that are being saved under another name, by what tells documents apart."""

    def documentEventOccured(self, event: Any) -> None:
        document = event.Source
        if event.EventName == "OnViewCreated":
            self._office.warm_up_for(document)
        elif event.EventName == "OnSaveAs" and is_spreadsheet(document):
            self._names[document.RuntimeUID] = key_of(document)
        elif event.EventName in ("OnSaveAsDone", "OnSaveAsFailed") and is_spreadsheet(document):
            old = self._names.pop(document.RuntimeUID, None)
            if old is not None:
                self._office.saved_as(old, key_of(document), document)

    def disposing(self, _event: Any) -> None:
        pass


class _AtTheEnd(unohelper.Base, XTerminateListener):  # type: ignore[misc]
    """Ends the child when the office ends."""

    def __init__(self, office: _Office) -> None:
        self._office = office

    def queryTermination(self, _event: Any) -> None:
        pass

    def notifyTermination(self, _event: Any) -> None:
        self._office.close()

    def disposing(self, _event: Any) -> None:
        pass


class Commands(unohelper.Base, XDispatchProvider, XDispatch, XInitialization, XServiceInfo):  # type: ignore[misc]
    """Answers addresses such as `org.sgdsheet:train` for one window."""

    def __init__(self, _context: Any, *_arguments: Any) -> None:
        self._frame: Any = None

    def initialize(self, arguments: Any) -> None:
        if arguments:
            self._frame = arguments[0]

    def queryDispatch(self, url: Any, _target: str, _flags: int) -> Any:
        return self if url.Complete.startswith(_SCHEME) else None

    def queryDispatches(self, requests: Any) -> Any:
        return tuple(self.queryDispatch(each.FeatureURL, each.FrameName, each.SearchFlags) for each in requests)

    def dispatch(self, url: Any, arguments: Any) -> None:
        command = url.Complete[len(_SCHEME) :]
        if any(argument.Name == "URL" for argument in arguments):  # as where a document is opened, by a link in a cell
            _office().tell_in_front(_LINK, "warning")
        elif command == "why":
            self._show("Why is this an error?", _office().reasons())
        elif command == "help":
            self._show("What the buttons do", _HELP)
        else:
            controller = self._frame.getController()
            book = key_of(controller.getModel())
            if _office().buttons.state(book) == IDLE and controller.hasInfobar(OURS):  # it is about the last click
                controller.removeInfobar(OURS)
            _office().press(command, book)

    def _show(self, title: str, text: str) -> None:
        """A window that waits to be closed."""
        window = self._frame.getContainerWindow()
        window.getToolkit().createMessageBox(window, INFOBOX, 1, title, text).execute()

    def addStatusListener(self, listener: Any, url: Any) -> None:
        def tell(enabled: bool) -> None:
            event = uno.createUnoStruct("com.sun.star.frame.FeatureStateEvent")
            event.Source, event.FeatureURL, event.IsEnabled = self, url, enabled
            listener.statusChanged(event)

        _office().buttons.add(Button(listener, url.Complete[len(_SCHEME) :], self._book, tell))

    def removeStatusListener(self, listener: Any, url: Any) -> None:
        _office().buttons.remove(listener, url.Complete[len(_SCHEME) :])

    def _book(self) -> str:
        """The workbook in this window; empty text if there is none any more."""
        controller = self._frame.getController() if self._frame is not None else None
        model = controller.getModel() if controller is not None else None
        return key_of(model) if model is not None else ""

    def getImplementationName(self) -> str:
        return _COMMANDS

    def supportsService(self, name: str) -> bool:
        return name in self.getSupportedServiceNames()

    def getSupportedServiceNames(self) -> tuple[str, ...]:
        return (_COMMANDS, _HANDLER)


class _Functions(unohelper.Base, XServiceInfo):  # type: ignore[misc]
    """The methods come from the table that was made with the type library."""

    def __init__(self, _context: Any, *_arguments: Any) -> None:
        pass

    def getImplementationName(self) -> str:
        return _FUNCTIONS

    def supportsService(self, name: str) -> bool:
        return name in self.getSupportedServiceNames()

    def getSupportedServiceNames(self) -> tuple[str, ...]:
        return (_FUNCTIONS, _ADD_IN)


def _method(name: str) -> Any:
    def method(self: Any, *arguments: Any) -> Any:
        return _office().functions.call(name, arguments)

    return method


_interface = uno.getClass("org.sgdsheet.XFunctions")
_methods = {method: _method(name) for method, name in _METHODS.items()}
Functions: Any = type("Functions", (_Functions, _interface), _methods)

g_ImplementationHelper = unohelper.ImplementationHelper()
g_ImplementationHelper.addImplementation(Functions, _FUNCTIONS, (_FUNCTIONS, _ADD_IN))
g_ImplementationHelper.addImplementation(Commands, _COMMANDS, (_COMMANDS, _HANDLER))
