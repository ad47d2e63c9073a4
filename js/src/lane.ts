// One trace: a chart of a noise level over the span on screen.

import uPlot from "uplot";
import { points } from "./decimate";
import { colour, element } from "./dom";
import { clock, level as levelText } from "./format";
import type { Session } from "./session";

/** Width of the space left of all plots, in CSS pixels; style.css has the same number. */
export const GUTTER = 56;
/** Space right of all plots. */
export const MARGIN = 12;
const HEIGHT = 104;
const AXIS = 26;
const LABEL = 14;
/** Seconds between two marks of the time axis. */
const INCREMENTS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];

export class Lane {
  readonly root: HTMLElement;
  private readonly chart: uPlot;
  private width = 0;

  /**
   * @param index decides the colour
   * @param last whether it shows the time axis
   */
  constructor(
    private readonly session: Session,
    readonly level: number,
    index: number,
    readonly last: boolean,
    host: HTMLElement,
  ) {
    this.root = element("div", { class: "aic-lane", "data-testid": `lane-${level}` });
    this.root.append(element("span", { class: "aic-lane-name" }, `noise level ${levelText(level)}`));
    host.append(this.root);
    const ink = () => colour(this.root, `--aic-trace-${index % 6}`);
    const muted = () => colour(this.root, "--aic-muted");
    const grid = { stroke: () => colour(this.root, "--aic-grid"), width: 1 };
    const font = "11px system-ui, sans-serif";
    this.chart = new uPlot(
      {
        width: 100,
        height: this.height,
        padding: [8, MARGIN, last ? 0 : 6, 0],
        legend: { show: false },
        cursor: { show: false },
        scales: { x: { time: false, auto: false }, y: { range: (_, low, high) => padded(low, high) } },
        axes: [
          {
            show: last,
            size: AXIS,
            font,
            stroke: muted,
            grid,
            ticks: grid,
            incrs: INCREMENTS,
            values: (_, at, __, ___, step) => at.map((t) => clock(t, step >= 1 ? 0 : step >= 0.1 ? 1 : 2)),
          },
          {
            size: GUTTER - LABEL,
            font,
            stroke: muted,
            grid,
            ticks: grid,
            space: 24,
            label: "nats",
            labelSize: LABEL,
            labelFont: font,
            labelGap: 0,
          },
        ],
        series: [
          {},
          { stroke: ink, width: 1.5, points: { show: false } },
          { stroke: ink, width: 1, alpha: 0.4, points: { show: false } },
          { stroke: "transparent", points: { show: false } },
          { stroke: "transparent", points: { show: false } },
          { stroke: () => colour(this.root, "--aic-error"), width: 3, points: { show: false } },
        ],
        bands: [{ series: [3, 4], fill: () => `color-mix(in srgb, ${ink()} 22%, transparent)` }],
      },
      [[], [], [], [], [], []],
      this.root,
    );
  }

  private get height(): number {
    return HEIGHT + (this.last ? AXIS : 0);
  }

  draw(): void {
    const width = this.root.clientWidth;
    if (width === 0) return;
    if (width !== this.width) this.chart.setSize({ width, height: this.height });
    this.width = width;
    const { start, end } = this.session.timeline;
    const curve = this.session.curves.get(this.level);
    const shown = curve ? points(curve, start, end, Math.max(width - GUTTER - MARGIN, 1)) : null;
    this.chart.batch(() => {
      this.chart.setData(
        shown
          ? [shown.x, shown.settled, shown.pending, shown.high, shown.low, shown.flagged]
          : [[], [], [], [], [], []],
        false,
      );
      this.chart.setScale("x", { min: start, max: end });
    });
  }

  close(): void {
    this.chart.destroy();
    this.root.remove();
  }
}

/** The range of a y axis: a little more than the values; at least one nat. */
function padded(low: number | null, high: number | null): [number, number] {
  if (low === null || high === null) return [0, 1];
  const space = Math.max((high - low) * 0.08, (1 - (high - low)) / 2, 0.05);
  return [low - space, high + space];
}
