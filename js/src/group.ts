// Widgets on one time axis: what is moved, selected, shown or heard in one of a group is so in all.

import type { Traits } from "./messages";
import type { Session } from "./session";

/** What a group has in common, beside playhead and span on screen; what is computed is each one's own. */
export const LINKED = [
  "view",
  "selection",
  "loop",
  "speed",
  "volume",
  "follow",
  "unit",
  "overlay",
  "smoothing",
  "heard_level",
] as const satisfies (keyof Traits)[];

/** Every widget is loaded with a copy of this file of its own, so they meet on the page. */
const page = globalThis as { audioicSessions?: Set<Session> };

/** Lets `session` be found by the others until it ends. */
export function member(session: Session, signal: AbortSignal): void {
  page.audioicSessions ??= new Set();
  const all = page.audioicSessions;
  all.add(session);
  signal.addEventListener("abort", () => {
    all.delete(session);
    align();
  });
}

/** Some group has changed: every time axis is as long as its group's longest recording. */
export function align(): void {
  for (const session of page.audioicSessions ?? []) session.align();
}

/** All of the group of `session`, itself included, in the order in which they were made. */
export function membersWith(session: Session): Session[] {
  const group = session.model.get("group");
  const all = [...(page.audioicSessions ?? [])];
  return all.filter((each) => each === session || (group && each.model.get("group") === group));
}

/** Whether two values of a trait are equal. */
export function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
