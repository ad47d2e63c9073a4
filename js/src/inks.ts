// The colour and the dashes of a noise level: its own, whatever others there are; plot.py has the same.

import { colour } from "./dom";
import { clamp } from "./frames";

/** Colours of the levels 0, 0.2, ... 1, as `--aic-trace-0` to `-5` in style.css. */
const ANCHORS = 6;
const SOLID = 12;
const BROKEN = 7;

/** Colour of `level` in the theme of `within`, mixed of its neighbours among the anchors: `#rrggbb`. */
export function ink(level: number, within: Element): string {
  const at = clamp(level, 0, 1) * (ANCHORS - 1);
  const below = Math.min(Math.floor(at), ANCHORS - 2);
  const [one, other] = [below, below + 1].map((anchor) => colour(within, `--aic-trace-${anchor}`));
  const channel = (hex: string, from: number) => Number.parseInt(hex.slice(from, from + 2), 16);
  const mixed = [1, 3, 5].map((from) => {
    const [a, b] = [channel(one, from), channel(other, from)];
    return Math.round(a + (b - a) * (at - below))
      .toString(16)
      .padStart(2, "0");
  });
  return `#${mixed.join("")}`;
}

/** Lengths drawn and left out in turn, in CSS pixels: the more noise, the more broken; nothing at level 0. */
export function dashes(level: number): number[] {
  return level > 0 ? [2 + SOLID * (1 - level), 1 + BROKEN * level].map(Math.round) : [];
}
