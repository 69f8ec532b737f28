// Bundles the page into the folder that is its only argument: index.html, and assets/ with one script, one stylesheet.
import { build } from "esbuild";
import { cp, mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const target = process.argv[2];
if (!target) throw new Error("Say where to: node bundle.mjs FOLDER");

await rm(target, { recursive: true, force: true });
await mkdir(join(target, "assets"), { recursive: true });
await build({
  entryPoints: { page: join(here, "src/main.tsx") },
  outdir: join(target, "assets"),
  bundle: true,
  minify: true,
  format: "esm",
  target: ["chrome100", "firefox100", "safari15.4"],
  define: { "process.env.NODE_ENV": '"production"' },
  // A cell's picture and Markdown are kinds of the grid that we never show: their libraries stay out.
  alias: { "react-responsive-carousel": join(here, "src/nothing.ts"), marked: join(here, "src/nothing.ts") },
  legalComments: "linked",
  charset: "utf8",
  logLevel: "warning",
}).catch(() => process.exit(1)); // it has said where
await cp(join(here, "public/index.html"), join(target, "index.html"));
await cp(join(here, "public/icon.svg"), join(target, "assets/icon.svg"));
