// Bundles src/index.ts and its loader into the files that the Python package ships.
import { readFile, stat } from "node:fs/promises";
import { context } from "esbuild";

const outdir = "../audioic_widget/widget/static";
const limit = 120_000;

/** uPlot's style without its legend and title, which no chart here has. */
const plainPlots = {
  name: "plain-plots",
  setup(building) {
    building.onLoad({ filter: /uPlot\.min\.css$/ }, async ({ path }) => ({
      contents: (await readFile(path, "utf8")).replace(
        /[^{}]*\.u-(legend|title|inline|series)[^{}]*\{[^}]*\}/g,
        "",
      ),
      loader: "css",
    }));
  },
};

const build = await context({
  entryPoints: [
    { in: "src/index.ts", out: "widget" },
    { in: "src/loader.ts", out: "loader" },
  ],
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  plugins: [plainPlots],
  outdir,
  logLevel: "info",
});

if (process.argv.includes("--watch")) {
  await build.watch();
} else {
  await build.rebuild();
  await build.dispose();
  // All of it is saved in every notebook once per widget.
  const sizes = await Promise.all(
    ["widget.js", "widget.css", "loader.js"].map(async (name) => (await stat(`${outdir}/${name}`)).size),
  );
  const size = sizes.reduce((sum, each) => sum + each, 0);
  if (size > limit) throw new Error(`The front end has ${size} bytes: ${limit} are the most.`);
}
