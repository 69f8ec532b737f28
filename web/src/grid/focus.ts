// The focus goes back to the sheet after what was done elsewhere.

const TRIES = 60; // frames; a sheet that has just been chosen draws itself first

export const FOCUS_SHEET = "focus-sheet";

/** Give the sheet the focus, once what was changed is drawn: the sheet may be another one by then. */
export function focusSheet(tries = TRIES): void {
  requestAnimationFrame(() => {
    if (document.activeElement?.closest(".grid")) return;
    window.dispatchEvent(new CustomEvent(FOCUS_SHEET));
    if (tries > 0) focusSheet(tries - 1);
  });
}
