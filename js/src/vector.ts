// What is seen of the plots, as an SVG: lines stay lines, text stays text.

import type uPlot from "uplot";
import { type Chart, NO_KNOWLEDGE } from "./chart";
import type { Step } from "./decimate";
import { colour } from "./dom";
import { ground } from "./picture";
import type { Session } from "./session";

const SVG = "http://www.w3.org/2000/svg";
const FONT = "system-ui, sans-serif";

type Attributes = Record<string, string | number>;

function shape(parent: Element, tag: string, attributes: Attributes, text = ""): SVGElement {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.textContent = text;
  parent.append(made);
  return made;
}

const short = (value: number) => String(Math.round(value * 10) / 10);

export function svg(session: Session, stack: HTMLElement, charts: Chart[]): Blob {
  const box = stack.getBoundingClientRect();
  const root = document.createElementNS(SVG, "svg");
  root.setAttribute("viewBox", `0 0 ${box.width} ${box.height}`);
  for (const [name, value] of [
    ["xmlns", SVG],
    ["width", String(box.width)],
    ["height", String(box.height)],
  ])
    root.setAttribute(name, value);
  shape(root, "title", {}, `Information content of ${session.model.get("name")}`);
  shape(root, "rect", { width: "100%", height: "100%", fill: ground(stack) });
  for (const canvas of stack.querySelectorAll<HTMLCanvasElement>("canvas.aic-strip")) {
    const at = canvas.getBoundingClientRect();
    if (at.width === 0) continue;
    const place = { x: at.x - box.x, y: at.y - box.y, width: at.width, height: at.height };
    if (canvas.classList.contains("aic-waveform"))
      drawWaveform(root, session, place, colour(stack, "--aic-wave"));
    else shape(root, "image", { ...place, href: canvas.toDataURL() });
  }
  for (const chart of charts) {
    const at = chart.root.getBoundingClientRect();
    const group = shape(root, "g", { transform: `translate(${at.x - box.x} ${at.y - box.y})` });
    drawChart(group, chart, colour(stack, "--aic-muted"), colour(stack, "--aic-grid"));
  }
  return new Blob([new XMLSerializer().serializeToString(root)], { type: "image/svg+xml" });
}

interface Place {
  x: number;
  y: number;
  width: number;
  height: number;
}

function drawWaveform(root: Element, session: Session, { x, y, width, height }: Place, fill: string): void {
  const { waveform, timeline } = session;
  if (!waveform) return;
  const columns = waveform.columns(timeline.start, timeline.end, Math.round(width));
  const toY = (sample: number) => short(y + ((1 - sample / waveform.peak) / 2) * height);
  let path = "";
  for (let column = 0; column < columns.length / 2; column++) {
    const [low, high] = [columns[2 * column], columns[2 * column + 1]];
    if (low <= high) path += `M${short(x + column + 0.5)} ${toY(high)}V${toY(low)}`;
  }
  shape(root, "path", { d: path, stroke: fill, "stroke-width": 1, "stroke-linecap": "square" });
}

function drawChart(group: Element, chart: Chart, ink: string, lines: string): void {
  const { plot } = chart;
  const ratio = devicePixelRatio;
  const [left, top, width, height] = [plot.bbox.left, plot.bbox.top, plot.bbox.width, plot.bbox.height].map(
    (pixels) => pixels / ratio,
  );
  const text = { fill: ink, "font-family": FONT };
  const xs = (at: number) => left + plot.valToPos(at, "x");
  const ys = (at: number) => top + plot.valToPos(at, "y");
  for (const { at, label } of marks(plot, 0)) {
    shape(group, "path", { d: `M${short(xs(at))} ${short(top)}v${short(height)}`, stroke: lines });
    if (!label) continue;
    shape(
      group,
      "text",
      { ...text, x: short(xs(at)), y: top + height + 18, "font-size": 11, "text-anchor": "middle" },
      label,
    );
  }
  for (const { at, label } of marks(plot, 1)) {
    shape(group, "path", { d: `M${short(left)} ${short(ys(at))}h${short(width)}`, stroke: lines });
    shape(
      group,
      "text",
      { ...text, x: left - 8, y: short(ys(at) + 4), "font-size": 11, "text-anchor": "end" },
      label,
    );
  }
  const middle = `translate(10 ${short(top + height / 2)}) rotate(-90)`;
  shape(group, "text", { ...text, transform: middle, "font-size": 10, "text-anchor": "middle" }, chart.unit);
  if (chart.noKnowledge !== null) {
    const y = ys(chart.noKnowledge);
    const line = `M${short(left)} ${short(y)}h${short(width)}`;
    shape(group, "path", { d: line, stroke: ink, "stroke-dasharray": "4 4" });
    shape(group, "text", { ...text, x: left + 4, y: short(y - 3), "font-size": 10 }, NO_KNOWLEDGE);
  }
  const id = `plot-${chart.levels.join("-")}`;
  const frame = { x: left, y: top, width, height };
  shape(shape(group, "clipPath", { id }), "rect", frame);
  const inside = shape(group, "g", { "clip-path": `url(#${id})` });
  chart.levels.forEach((level, row) => {
    const steps = chart.steps[row] ?? [];
    const stroke = chart.ink(level);
    const bands = steps.filter(({ bandLow, bandHigh }) => !Number.isNaN(bandHigh - bandLow));
    const upright = bands.map(
      ({ from, to, bandLow, bandHigh }) =>
        `M${short(xs(from))} ${short(ys(bandHigh))}H${short(xs(to))}V${short(ys(bandLow))}H${short(xs(from))}Z`,
    );
    shape(inside, "path", { d: upright.join(""), fill: stroke, "fill-opacity": 0.22 });
    const line = (drawn: Step[], more: Attributes) => {
      if (drawn.length)
        shape(inside, "path", { d: path(drawn, xs, ys), fill: "none", "stroke-width": 1.5, ...more });
    };
    line(
      steps.filter((step) => step.settled),
      { stroke, "stroke-dasharray": chart.dash(level).join(" ") || "none" },
    );
    line(
      steps.filter((step) => !step.settled),
      { stroke, "stroke-opacity": 0.4 },
    );
    line(
      steps.filter((step) => step.flagged),
      { stroke: chart.warning, "stroke-width": 3 },
    );
    const across = left + width - 6 - 40 * (chart.levels.length - 1 - row);
    const words = { ...text, fill: stroke, x: across, y: top + 10, "font-size": 11, "text-anchor": "end" };
    shape(group, "text", words, chart.name(level));
  });
}

/** A line over the spans of steps, joined where one begins where another ends. */
function path(steps: Step[], xs: (at: number) => number, ys: (at: number) => number): string {
  let before: Step | undefined;
  let drawn = "";
  for (const step of steps) {
    const [from, to, low, high] = [xs(step.from), xs(step.to), ys(step.low), ys(step.high)].map(short);
    drawn += before?.to === step.from ? `V${low}` : `M${from} ${low}`;
    if (low !== high) drawn += `V${high}V${low}`;
    drawn += `H${to}`;
    before = step;
  }
  return drawn;
}

/** Marks of an axis, as uPlot has laid them out. */
function marks(plot: uPlot, axis: number): { at: number; label: string }[] {
  const drawn = plot.axes[axis] as uPlot.Axis & { _splits?: number[]; _values?: (string | number | null)[] };
  if (!drawn.show) return [];
  return (drawn._splits ?? []).flatMap((at, k) => {
    const label = drawn._values?.[k];
    return at === null ? [] : [{ at, label: String(label ?? "") }];
  });
}
