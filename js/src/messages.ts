// What browser and kernel say to each other beside the synced traits; mirrors audioic_widget/widget/messages.py.

export type Request =
  | { type: "ready" }
  | { type: "audio"; noise_level: number | null; first: number; count: number }
  | { type: "waveform"; level: number; first: number; count: number }
  | { type: "spectrogram"; level: number; first: number; count: number }
  | { type: "peaks"; noise_level: number; count: number }
  | { type: "table"; format: "csv" | "parquet" }
  | { type: "cancel" }
  | { type: "compute" };

export type Answer =
  | {
      type: "restart";
      revision: number;
      levels: number[];
      n_frames: number;
      /** Closed-form lines in nats, a level each. */
      floor: (number | null)[];
      no_knowledge: number[];
    }
  | { type: "curves"; revision: number; levels: number[]; first: number; count: number }
  | { type: "audio"; noise_level: number | null; first: number; count: number }
  | { type: "waveform"; level: number; first: number; count: number }
  | { type: "spectrogram"; level: number; first: number; count: number; mels: number }
  | { type: "peaks"; noise_level: number; times: number[]; values: number[] }
  | { type: "table"; name: string }
  | { type: "annotations"; labels: string[] };

export type Unit = "nats" | "minmax" | "zscore" | "headroom";

/** The traits of `AudioICWidget` that the front end reads or sets: the twin of traits.py. */
export interface Traits {
  /** Code of all this, for the loader. */
  _front_end: string;
  preset: string;
  noise_levels: number[];
  n_steps: number;
  n_probes: number;
  monte_carlo_samples: number | null;
  view: [number, number] | null;
  selection: [number, number] | null;
  visible_levels: number[];
  overlay: boolean;
  unit: Unit;
  smoothing: number;
  follow: boolean;
  group: string;
  compact: boolean;
  solo: boolean;
  current_time: number;
  /** null is the recording, a number what is left of it at that noise level. */
  heard_level: number | null;
  playing: boolean;
  loop: boolean;
  speed: number;
  volume: number;
  status: "idle" | "running" | "done" | "cancelled" | "error";
  progress: number;
  encoded: number;
  error: string;
  notice: string;
  name: string;
  duration: number;
  n_frames: number;
  overview: DataView;
  bin_samples: number[];
  model_name: string;
  device_name: string;
  decodes: boolean;
  solver: string;
  divergence: string;
  saved: Saved | Record<string, never>;
  /** Only in a page that `export_html` wrote. */
  page?: { sound: boolean };
}

/** A small copy of the traces, as snapshot.py makes it; `group` frames share two values where there were too many. */
export interface Saved {
  levels: number[];
  no_knowledge: number[];
  n_frames: number;
  group: number;
  low: number[];
  step: number[];
  error_step: number[];
  values: DataView;
  errors: DataView;
}

/** Copies a buffer of little-endian numbers: it may start at any offset of a larger one. */
function bytes(view: DataView): ArrayBuffer {
  return view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength) as ArrayBuffer;
}

export const int16 = (view: DataView): Int16Array => new Int16Array(bytes(view));
export const float32 = (view: DataView): Float32Array => new Float32Array(bytes(view));
export const float64 = (view: DataView): Float64Array => new Float64Array(bytes(view));
export const uint8 = (view: DataView): Uint8Array => new Uint8Array(bytes(view));
