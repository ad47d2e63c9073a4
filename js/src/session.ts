// What all views of one widget share: curves, waveform, sound, the span on screen.

import type { AnyModel } from "@anywidget/types";
import { Curves } from "./curves";
import { frameAt } from "./frames";
import { type Answer, int16, type Request, type Traits } from "./messages";
import { Player } from "./player";
import { Timeline } from "./timeline";
import { Waveform } from "./waveform";

/** Seconds between two reports of the playhead to Python while it moves. */
const REPORT = 0.25;

export class Session {
  readonly curves = new Curves();
  readonly timeline = new Timeline();
  readonly player: Player;
  readonly hidden = new Set<number>();
  waveform: Waveform | null = null;
  private listeners = new Set<() => void>();
  private reported = 0;
  private visibleTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly model: AnyModel<Traits>,
    signal: AbortSignal,
  ) {
    this.player = new Player(
      (first, count) => this.send({ type: "audio", first, count }),
      () => {
        this.report();
        this.changed();
      },
    );
    const onAnswer = (message: Answer, buffers: DataView[]) => this.take(message, buffers);
    const onOpen = () => this.open();
    const onTime = () => {
      const wanted = model.get("current_time");
      if (wanted !== this.reported) this.player.seek(wanted);
    };
    const onTrait = () => this.changed();
    model.on("msg:custom", onAnswer);
    model.on("change:n_frames", onOpen);
    model.on("change:current_time", onTime);
    model.on("change", onTrait);
    signal.addEventListener("abort", () => {
      model.off("msg:custom", onAnswer);
      model.off("change:n_frames", onOpen);
      model.off("change:current_time", onTime);
      model.off("change", onTrait);
      clearTimeout(this.visibleTimer);
      this.player.close();
    });
    this.open();
    this.send({ type: "ready" });
  }

  /** Calls `listener` whenever something that is drawn has changed; returns how to stop that. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  changed(): void {
    for (const listener of this.listeners) listener();
  }

  send(request: Request): void {
    this.model.send(request);
  }

  set<K extends keyof Traits>(name: K, value: Traits[K]): void {
    this.model.set(name, value);
    this.model.save_changes();
  }

  /** The span on screen has moved: draw it, and have it computed first. */
  moved(): void {
    this.changed();
    clearTimeout(this.visibleTimer);
    this.visibleTimer = setTimeout(() => {
      const { start, end } = this.timeline;
      this.send({ type: "visible", first: frameAt(start), stop: frameAt(end) + 1 });
    }, 300);
  }

  /** Tells Python where the playhead is; while it plays, a few times a second. */
  report(): void {
    const { position, state } = this.player;
    if (position === this.reported) return;
    if (state === "playing" && Math.abs(position - this.reported) < REPORT) return;
    this.reported = position;
    this.set("current_time", position);
  }

  private open(): void {
    const { model } = this;
    const duration = model.get("duration");
    if (!model.get("n_frames") || this.waveform) return;
    this.waveform = new Waveform(model.get("bin_samples"), int16(model.get("overview")), (r) => this.send(r));
    this.timeline.open(duration);
    this.player.open(duration);
    this.reported = model.get("current_time");
    if (this.reported) this.player.seek(this.reported);
    this.changed();
  }

  private take(message: Answer, buffers: DataView[]): void {
    if (message.type === "restart") this.curves.restart(message);
    else if (message.type === "curves") this.curves.put(message, buffers);
    else if (message.type === "audio") this.player.take(message.first, int16(buffers[0]));
    else if (message.type === "waveform") this.waveform?.take(message, buffers[0]);
    this.changed();
  }
}
