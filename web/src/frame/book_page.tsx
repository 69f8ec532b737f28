// The page of a book: header, formula bar, sheet, panel, tabs and status.

import { useEffect } from "react";
import { Grid } from "../grid/grid";
import { save } from "../live";
import { Panel } from "../panel/panel";
import { useStore } from "../store";
import { FormulaBar } from "./formula_bar";
import { Header } from "./header";
import { Banner, Notices } from "./notices";
import { Status } from "./status";
import { Tabs } from "./tabs";

export function BookPage(): JSX.Element {
  const ready = useStore((state) => state.book !== null);
  const open = useStore((state) => state.panelOpen);

  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "s") {
        event.preventDefault();
        if (!event.repeat) void save(false);
      }
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);

  return (
    <div className={`book ${open ? "with-panel" : ""}`} data-ready={ready}>
      <Header />
      <Banner />
      <FormulaBar />
      <main className="work">
        <Grid />
        <Panel />
      </main>
      <footer className="foot">
        <Tabs />
        <Status />
      </footer>
      <Notices />
    </div>
  );
}
