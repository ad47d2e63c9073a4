// Bundles src/index.ts and its loader into the files that the Python package ships.
import { stat } from "node:fs/promises";
import { context } from "esbuild";

const outdir = "../audioic_widget/widget/static";
const limit = 120_000;

const build = await context({
  entryPoints: [
    { in: "src/index.ts", out: "widget" },
    { in: "src/loader.ts", out: "loader" },
  ],
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  outdir,
  logLevel: "info",
});

if (process.argv.includes("--watch")) {
  await build.watch();
} else {
  await build.rebuild();
  await build.dispose();
  // The bundle is saved in every notebook once per widget.
  const { size } = await stat(`${outdir}/widget.js`);
  if (size > limit) throw new Error(`widget.js has ${size} bytes: ${limit} are the most.`);
}
