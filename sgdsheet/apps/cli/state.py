"""What an uninstalled extension or add-in leaves: the state of the background trainer."""

from __future__ import annotations

from sgdsheet.apps.cli.common import console, shown
from sgdsheet.live.ipc.state_cleanup import remove_state, state_files, stop_trainer
from sgdsheet.system.state_folder import state_folder


def leave_state(command: str, *, everything: bool) -> None:
    """End the trainer; remove what it left, if wanted, else say where it is and which command would remove it."""
    out = console()
    stop_trainer()
    for line in remove_state() if everything else ():
        out.print(shown(line))
    if state_files():
        out.print(shown(f"What Undo and Reset need, and the log, stay in {state_folder()}"))
        out.print(f"To remove them, too: sgdsheet {command} uninstall --all")
