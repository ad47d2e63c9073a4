// A chart of one noise level (a lane) or of several (an overlay) over the span on screen.

import uPlot from "uplot";
import { type Step, steps } from "./decimate";
import { axisLabel } from "./display";
import { colour, element } from "./dom";
import { clock, level as levelText } from "./format";
import { dashes, ink } from "./inks";
import type { Session } from "./session";
import { drawTrace } from "./trace";

/** Width of the space left of all plots, in CSS pixels; style.css has the same number. */
export const GUTTER = 56;
/** Space right of all plots. */
export const MARGIN = 12;
const LANE = 112;
const OVERLAY = 240;
/** Height of the time axis, below the last plot. */
export const AXIS = 26;
const LABEL = 14;
/** Space above the traces, for their names. */
const NAMES = 20;
/** Said beside the line of it. */
export const NO_KNOWLEDGE = "no knowledge";
/** Seconds between two marks of the time axis. */
const INCREMENTS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];

export class Chart {
  readonly root: HTMLElement;
  /** Draws the axes; the traces are drawn by `trace.ts`. */
  private readonly chart: uPlot;
  private width = 0;
  /** What is drawn of every trace. */
  steps: Step[][] = [];
  /** Keeps its style from draw to draw: asking the page for colours is slow. */
  private colours = new Map<string, string>();
  private readonly names: HTMLElement[];

  /** @param last whether it shows the time axis */
  constructor(
    private readonly session: Session,
    readonly levels: number[],
    private readonly last: boolean,
    host: HTMLElement,
  ) {
    const alone = levels.length === 1;
    this.root = element("div", {
      class: "aic-lane",
      role: "img",
      "aria-label": `Information content at noise level ${levels.map(levelText).join(", ")}`,
      "data-testid": alone ? `lane-${levels[0]}` : "overlay",
    });
    this.names = levels.map((level) => {
      const name = element("span", { class: alone ? "" : "aic-key" }, this.name(level));
      name.style.setProperty("--aic-dash", dashed(dashes(level)));
      return name;
    });
    this.root.append(element("span", { class: "aic-lane-name" }, ...this.names));
    host.append(this.root);
    this.recolour();
    const muted = () => this.colour("--aic-muted");
    const grid = { stroke: () => this.colour("--aic-grid"), width: 1 };
    const font = "11px system-ui, sans-serif";
    this.chart = new uPlot(
      {
        width: 100,
        height: this.height,
        padding: [NAMES, MARGIN, last ? 0 : 6, 0],
        legend: { show: false },
        cursor: { show: false },
        scales: {
          x: { time: false, auto: false },
          y: { range: (_, low, high) => padded(low, high, session.display.unit) },
        },
        axes: [
          {
            // Where there are no numbers, there are their lines.
            size: last ? AXIS : 0,
            font,
            stroke: muted,
            grid,
            ticks: { ...grid, show: last },
            incrs: INCREMENTS,
            values: (chart, at, __, ___, step) => at.map((t) => (last ? timeLabel(chart, t, step) : "")),
          },
          {
            size: GUTTER - LABEL,
            font,
            stroke: muted,
            grid,
            // Room for a minus and three digits beside the unit.
            ticks: { ...grid, size: 4 },
            gap: 4,
            space: 24,
            values: (_, at) => at.map((value) => (this.steps.some((each) => each.length) ? tick(value) : "")),
            label: () => this.unit,
            labelSize: LABEL,
            labelFont: "10px system-ui, sans-serif",
            labelGap: 0,
          } as uPlot.Axis,
        ],
        series: [{}, { paths: () => null, points: { show: false } }],
        hooks: { drawAxes: [() => this.drawLines(), () => this.drawTraces()] },
      },
      [[], []],
      this.root,
    );
  }

  /** What is drawn and where, for a picture of it. */
  get plot(): uPlot {
    return this.chart;
  }

  get unit(): string {
    return axisLabel(this.session.display);
  }

  get warning(): string {
    return this.colour("--aic-error");
  }

  name(level: number): string {
    return this.levels.length === 1 ? `noise level ${levelText(level)}` : levelText(level);
  }

  /** Told apart by more than colour, where levels share a chart. */
  dash(level: number): number[] {
    return this.levels.length === 1 ? [] : dashes(level);
  }

  ink(level: number): string {
    return this.remembered(String(level), () => ink(level, this.root));
  }

  private colour(name: string): string {
    return this.remembered(name, () => colour(this.root, name));
  }

  private remembered(key: string, find: () => string): string {
    const found = this.colours.get(key) ?? find();
    this.colours.set(key, found);
    return found;
  }

  private get height(): number {
    return (this.levels.length === 1 ? LANE : OVERLAY) + (this.last ? AXIS : 0);
  }

  draw(): void {
    const width = this.root.clientWidth;
    if (width === 0) return;
    if (width !== this.width) this.chart.setSize({ width, height: this.height });
    this.width = width;
    const { start, end } = this.session.timeline;
    const pixels = Math.max(width - GUTTER - MARGIN, 1);
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    this.steps = this.levels.map((level) => {
      const curve = this.session.shown.get(level, this.session.display);
      const found = curve ? steps(curve, start, end, pixels) : [];
      for (const step of found) {
        low = Math.min(low, Number.isNaN(step.bandLow) ? step.low : step.bandLow);
        high = Math.max(high, Number.isNaN(step.bandHigh) ? step.high : step.bandHigh);
      }
      return found;
    });
    this.chart.batch(() => {
      this.chart.setData(
        low <= high
          ? ([
              [start, end],
              [low, high],
            ] as uPlot.AlignedData)
          : [[], []],
        false,
      );
      this.chart.setScale("x", { min: start, max: end });
    });
  }

  private drawTraces(): void {
    const { ctx, bbox, scales } = this.chart;
    const { min: start, max: end } = scales.x;
    const { min: low, max: high } = scales.y;
    if (start === undefined || end === undefined || low === undefined || high === undefined) return;
    const frame = { ...bbox, start, end, low, high, ratio: devicePixelRatio };
    this.levels.forEach((level, row) => {
      drawTrace(ctx, this.steps[row] ?? [], frame, this.ink(level), this.warning, this.dash(level));
    });
  }

  /** The theme has changed: ask for its colours again. */
  recolour(): void {
    this.colours.clear();
    this.levels.forEach((level, row) => {
      this.names[row].style.setProperty("--aic-ink", this.ink(level));
    });
  }

  close(): void {
    this.chart.destroy();
    this.root.remove();
  }

  /** What a listener without knowledge would say, in closed form, where it lies within the scale. */
  get noKnowledge(): number | null {
    const { unit } = this.session.display;
    if (unit !== "headroom" && (unit !== "nats" || this.levels.length > 1)) return null;
    const line = this.session.curves.line(this.levels[0]);
    const at = unit === "headroom" ? 0 : line?.noKnowledge;
    const { min, max } = this.chart.scales.y;
    if (!line || at === undefined || min === undefined || max === undefined || at < min || at > max)
      return null;
    return at;
  }

  private drawLines(): void {
    const at = this.noKnowledge;
    if (at === null) return;
    const { ctx, bbox } = this.chart;
    const y = Math.round(this.chart.valToPos(at, "y", true));
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = this.colour("--aic-muted");
    ctx.setLineDash([4, 4]);
    ctx.lineWidth = devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.textAlign = "left";
    ctx.textBaseline = "bottom";
    ctx.font = `${10 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.fillText(NO_KNOWLEDGE, bbox.left + 4 * devicePixelRatio, y - 2 * devicePixelRatio);
    ctx.restore();
  }
}

/** A dash pattern as a CSS background in the ink of its level. */
function dashed(pattern: number[]): string {
  let at = 0;
  const parts = (pattern.length ? pattern : [1]).map((length, part) => {
    const begin = at;
    at += length;
    return `${part % 2 ? "transparent" : "var(--aic-ink)"} ${begin}px ${at}px`;
  });
  return `repeating-linear-gradient(90deg, ${parts.join(", ")})`;
}

/** Where a mark is; nothing where the text would be cut by the edge. */
function timeLabel(chart: uPlot, seconds: number, step: number): string {
  const { min = 0, max = 0 } = chart.scales.x;
  if (seconds > max - (LABEL * (max - min)) / chart.width) return "";
  return clock(seconds, step >= 1 ? 0 : step >= 0.1 ? 1 : 2);
}

/** A number of the y axis, its minus as long as its plus would be. */
function tick(value: number): string {
  return String(Number(value.toFixed(6))).replace("-", "−");
}

/** The range of a y axis: a little more than the values, and the line that headroom is measured from. */
function padded(low: number | null, high: number | null, unit: string): [number, number] {
  if (low === null || high === null) return [0, 1];
  const least = unit === "minmax" ? 0.1 : 1;
  const top = unit === "headroom" ? Math.max(high, 0) : high;
  const space = Math.max((top - low) * 0.08, (least - (top - low)) / 2, 0.05);
  return [low - space, top + space];
}
