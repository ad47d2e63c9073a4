// What browser and kernel say to each other beside the synced traits; mirrors audioic_widget/widget/messages.py.

export type Request =
  | { type: "ready" }
  | { type: "audio"; first: number; count: number }
  | { type: "waveform"; level: number; first: number; count: number }
  | { type: "visible"; first: number; stop: number }
  | { type: "cancel" }
  | { type: "compute" };

export type Answer =
  | { type: "restart"; revision: number; levels: number[]; n_frames: number }
  | { type: "curves"; revision: number; levels: number[]; first: number; count: number }
  | { type: "audio"; first: number; count: number }
  | { type: "waveform"; level: number; first: number; count: number };

/** The traits of `AudioICWidget` that the front end reads or sets. */
export interface Traits {
  preset: string;
  noise_levels: number[];
  n_steps: number;
  n_probes: number;
  monte_carlo_samples: number | null;
  current_time: number;
  selection: [number, number] | null;
  status: "idle" | "running" | "done" | "cancelled" | "error";
  progress: number;
  error: string;
  notice: string;
  name: string;
  duration: number;
  n_frames: number;
  overview: DataView;
  bin_samples: number[];
  model_name: string;
  device_name: string;
  solver: string;
  divergence: string;
}

/** Copies a buffer of little-endian numbers: it may start at any offset of a larger one. */
function bytes(view: DataView): ArrayBuffer {
  return view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength) as ArrayBuffer;
}

export const int16 = (view: DataView): Int16Array => new Int16Array(bytes(view));
export const float32 = (view: DataView): Float32Array => new Float32Array(bytes(view));
export const uint8 = (view: DataView): Uint8Array => new Uint8Array(bytes(view));
