// What all views of one widget share: curves, waveform, sound, the span on screen.

import type { AnyModel } from "@anywidget/types";
import { Curves } from "./curves";
import { type Display, Shown } from "./display";
import { FRAME_PERIOD } from "./frames";
import { type Answer, float64, int16, type Request, type Saved, type Traits } from "./messages";
import { Player } from "./player";
import { Spectrogram } from "./spectrogram";
import { Timeline } from "./timeline";
import { Waveform } from "./waveform";

/** Seconds between two reports of the playhead to Python while it moves. */
const REPORT = 0.25;
/** Milliseconds the span on screen rests before Python is told. */
const REST = 200;
/** Milliseconds a kernel is given to answer before the page says that none does. */
const PATIENCE = 5_000;
/** Reports of a moving playhead whose echo may still come. */
const ECHOES = 20;
/** Peaks listed. */
const PEAKS = 10;
/** Seconds heard before a peak, so that it comes as it came. */
const RUN_UP = 1;

export interface Annotation {
  start: number;
  end: number;
  label: string;
}

export interface Peak {
  /** Begin of its frame, in seconds. */
  start: number;
  nats: number;
}

export class Session {
  readonly curves = new Curves();
  readonly shown = new Shown(this.curves);
  readonly timeline = new Timeline();
  readonly player: Player;
  waveform: Waveform | null = null;
  annotations: Annotation[] = [];
  readonly spectrogram = new Spectrogram((request) => this.send(request));
  /** The most surprising moments of the level `peakLevel`. */
  peaks: Peak[] = [];
  peakLevel = Number.NaN;
  /** What is switched on in this page only. */
  readonly panels = { spectrogram: false, peaks: false, clicks: false, help: false };
  /** What to tell the user until the next change, as a sentence. */
  hint = "";
  /** No kernel has answered: there is no sound and nothing to compute with. */
  alone = false;
  private listeners = new Set<() => void>();
  private reported = 0;
  /** What was said of the playhead while it moved: an echo of it is nobody's wish. */
  private said: number[] = [];
  private viewTimer: ReturnType<typeof setTimeout> | undefined;
  private peaksOf = "";
  private answered = () => {};

  constructor(
    readonly model: AnyModel<Traits>,
    signal: AbortSignal,
  ) {
    this.player = new Player(
      (first, count) => this.send({ type: "audio", first, count }),
      () => this.sounded(),
      () => {
        this.hint = "The browser lets sound begin only after a click on the page: press play.";
        this.changed();
      },
    );
    const on: [string, (...all: never[]) => void][] = [
      ["msg:custom", (message: Answer, buffers: DataView[]) => this.take(message, buffers)],
      ["change:n_frames", () => this.open()],
      ["change:current_time", () => this.onTime()],
      ["change:playing", () => this.onPlaying()],
      ["change:view", () => this.onView()],
      ["change", () => this.onTrait()],
      ["comm_live_update", () => this.onKernel()],
    ];
    for (const [name, react] of on) model.on(name as "msg:custom", react as never);
    signal.addEventListener("abort", () => {
      for (const [name, react] of on) model.off(name, react as never);
      clearTimeout(this.viewTimer);
      this.player.close();
    });
    const saved = model.get("saved");
    if ("values" in saved) this.curves.load(saved as Saved);
    this.open();
    this.onTrait();
    this.send({ type: "ready" });
    const silence = setTimeout(() => this.lost("No kernel answers: this is what was saved."), PATIENCE);
    this.answered = () => {
      clearTimeout(silence);
      if (this.alone) this.hint = "";
      this.alone = false;
    };
    signal.addEventListener("abort", () => clearTimeout(silence));
  }

  get display(): Display {
    return { unit: this.model.get("unit"), smoothing: this.model.get("smoothing") };
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
    clearTimeout(this.viewTimer);
    this.viewTimer = setTimeout(() => {
      const { start, end, whole } = this.timeline;
      this.set("view", whole ? null : [start, end]);
    }, REST);
  }

  toggle(): void {
    this.hint = "";
    if (this.player.state === "stopped") void this.player.play();
    else this.player.pause();
  }

  /** Plays a surprising moment, and what led up to it. */
  playPeak({ start }: Peak): void {
    this.hint = "";
    this.player.seek(start - RUN_UP);
    if (!this.timeline.shows(start)) {
      this.timeline.centre(start);
      this.moved();
    }
    void this.player.play();
  }

  /** Switches something on or off in this page. */
  switch(panel: keyof Session["panels"]): void {
    this.panels[panel] = !this.panels[panel];
    this.askForPeaks();
    this.tune();
    this.changed();
  }

  /** Tells Python where the playhead is; while it plays, a few times a second. */
  report(): void {
    const { position, state } = this.player;
    if (position === this.reported) return;
    if (state === "playing" && Math.abs(position - this.reported) < REPORT) return;
    this.reported = position;
    if (state === "playing") this.said = [...this.said.slice(1 - ECHOES), position];
    this.set("current_time", position);
  }

  private open(): void {
    const { model } = this;
    const duration = model.get("duration");
    if (!model.get("n_frames") || this.waveform) return;
    this.waveform = new Waveform(model.get("bin_samples"), int16(model.get("overview")), (r) => this.send(r));
    this.spectrogram.open(duration);
    this.timeline.open(duration);
    this.onView();
    this.player.open(duration);
    this.reported = model.get("current_time");
    if (this.reported) this.player.seek(this.reported);
    this.changed();
  }

  private onTrait(): void {
    this.tune();
    this.askForPeaks();
    this.changed();
  }

  /** The host has lost the kernel, or found it again: it does not say which, but first it is lost. */
  private onKernel(): void {
    if (this.alone) this.send({ type: "ready" });
    else this.lost("The kernel has ended: this is what it had sent.");
  }

  private lost(what: string): void {
    this.alone = true;
    this.hint = `${what} To hear it or to change settings, run its cell in a notebook.`;
    this.player.pause();
    this.changed();
  }

  private onTime(): void {
    const wanted = this.model.get("current_time");
    if (wanted !== this.reported && !this.said.includes(wanted)) this.player.seek(wanted);
  }

  private onPlaying(): void {
    if (this.model.get("playing") !== (this.player.state !== "stopped")) this.toggle();
  }

  private onView(): void {
    const view = this.model.get("view");
    if (view) this.timeline.show(...view);
    else this.timeline.show(0, this.timeline.duration);
  }

  private sounded(): void {
    this.report();
    const sounding = this.player.state !== "stopped";
    if (this.model.get("playing") !== sounding) this.set("playing", sounding);
    this.changed();
  }

  private tune(): void {
    const { model, panels } = this;
    const everything: [number, number] = [0, model.get("duration")];
    const clicks = panels.clicks ? this.peaks.map((peak) => peak.start) : [];
    this.player.set(
      model.get("loop") ? (model.get("selection") ?? everything) : null,
      model.get("speed"),
      clicks,
    );
    this.player.setVolume(model.get("volume"));
  }

  /** Peaks belong to a finished result and to the first level that is drawn. */
  private askForPeaks(): void {
    const { model, panels } = this;
    if (!(panels.peaks || panels.clicks) || model.get("status") !== "done") return;
    const level = model.get("visible_levels")[0];
    const key = `${this.curves.revision} ${level}`;
    if (level === undefined || key === this.peaksOf) return;
    this.peaksOf = key;
    this.send({ type: "peaks", noise_level: level, count: PEAKS });
  }

  private take(message: Answer, buffers: DataView[]): void {
    this.answered();
    switch (message.type) {
      case "restart":
        this.curves.restart(message);
        break;
      case "curves":
        this.curves.put(message, buffers);
        break;
      case "audio":
        this.player.take(message.first, int16(buffers[0]));
        break;
      case "waveform":
        this.waveform?.take(message, buffers[0]);
        break;
      case "spectrogram":
        this.spectrogram.take(message, buffers[0]);
        break;
      case "peaks":
        this.peakLevel = message.noise_level;
        this.peaks = message.times.map((end, row) => ({
          start: Math.max(end - FRAME_PERIOD, 0),
          nats: message.values[row],
        }));
        this.tune();
        break;
      case "table":
        save(message.name, new Blob([buffers[0] as DataView<ArrayBuffer>], { type: "text/csv" }));
        break;
      case "annotations": {
        const [starts, ends] = [float64(buffers[0]), float64(buffers[1])];
        this.annotations = message.labels.map((label, row) => ({
          start: starts[row],
          end: ends[row],
          label,
        }));
        break;
      }
    }
    this.changed();
  }
}

/** Lets the browser save a file. */
function save(name: string, content: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
