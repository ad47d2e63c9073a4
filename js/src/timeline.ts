// The span of the recording that is on screen, in seconds.

import { clamp, FRAME_PERIOD } from "./frames";

/** Shortest span that can be shown: a few frames. */
const SHORTEST = 4 * FRAME_PERIOD;

export class Timeline {
  duration = 0;
  start = 0;
  end = 0;

  /** A recording of `duration` seconds is there: show all of it. */
  open(duration: number): void {
    this.duration = duration;
    this.show(0, duration);
  }

  get span(): number {
    return this.end - this.start;
  }

  get whole(): boolean {
    return this.span >= this.duration;
  }

  shows(seconds: number): boolean {
    return seconds >= this.start && seconds < this.end;
  }

  /** Moves so that the second `at` is in the middle. */
  centre(at: number): void {
    this.show(at - this.span / 2, at + this.span / 2);
  }

  /** Shows `start` to `end`, moved or shortened to fit the recording. */
  show(start: number, end: number): void {
    const span = clamp(end - start, Math.min(SHORTEST, this.duration), this.duration);
    this.start = clamp(start, 0, this.duration - span);
    this.end = this.start + span;
  }

  /** Zooms by `factor` (above 1: closer), so that what is at the second `at` stays where it is. */
  zoom(factor: number, at: number): void {
    const span = clamp(this.span / factor, Math.min(SHORTEST, this.duration), this.duration);
    const share = this.span > 0 ? (at - this.start) / this.span : 0;
    this.show(at - share * span, at - share * span + span);
  }

  pan(seconds: number): void {
    this.show(this.start + seconds, this.end + seconds);
  }

  /** Turns the page when the playhead leaves the screen. */
  follow(position: number): boolean {
    if (this.shows(position)) return false;
    const before = this.start;
    this.show(position, position + this.span);
    return this.start !== before;
  }
}
