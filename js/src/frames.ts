// The frame grid, as in audioic_widget/frames.py.

export const SAMPLE_RATE = 44_100;
export const FRAME_SAMPLES = 4_096;
export const FRAME_PERIOD = FRAME_SAMPLES / SAMPLE_RATE;

/** Index of the frame that is sounding at `seconds`. */
export function frameAt(seconds: number): number {
  return Math.floor((seconds * SAMPLE_RATE) / FRAME_SAMPLES);
}

export function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
