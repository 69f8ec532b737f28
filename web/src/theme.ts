// Light and dark: the system's, or the person's choice, which the browser remembers.

import { useEffect, useState } from "react";
import { type Palette, readPalette } from "./grid/colours";
import { getState, type Theme, update, useStore } from "./store";

const KEPT = "sgdsheet.theme";
const DARK = "(prefers-color-scheme: dark)";

export function startTheme(): void {
  const kept = localStorage.getItem(KEPT);
  matchMedia(DARK).addEventListener("change", showScheme);
  setTheme(kept === "light" || kept === "dark" ? kept : "system");
}

export function setTheme(theme: Theme): void {
  if (theme === "system") localStorage.removeItem(KEPT);
  else localStorage.setItem(KEPT, theme);
  update({ theme });
  showScheme();
}

/** Tell the style sheets which colours they are to use. */
function showScheme(): void {
  document.documentElement.dataset.scheme = isDark() ? "dark" : "light";
}

export function isDark(): boolean {
  const { theme } = getState();
  return theme === "system" ? matchMedia(DARK).matches : theme === "dark";
}

/** The canvas' colours, read again when the scheme changes; null before the first reading. */
export function usePalette(): Palette | null {
  const theme = useStore((state) => state.theme);
  const [palette, setPalette] = useState<Palette | null>(null);
  useEffect(() => {
    const read = (): void => setPalette(readPalette());
    read();
    const media = matchMedia(DARK);
    media.addEventListener("change", read);
    return () => media.removeEventListener("change", read);
  }, [theme]);
  return palette;
}
