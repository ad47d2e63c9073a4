// Numbers as people read them.

/** 83.42 -> "1:23.4"; with hours from 3600 s on. */
export function clock(seconds: number, digits = 1): string {
  const scale = 10 ** digits;
  const total = Math.max(0, Math.floor(seconds * scale + 1e-6)) / scale;
  const hours = Math.floor(total / 3600);
  const minutes = Math.floor(total / 60) % 60;
  const rest = (total % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** 0.30000000000000004 -> "0.3"; whole numbers keep one digit, so that levels look alike. */
export function level(value: number): string {
  const short = String(Number(value.toFixed(6)));
  return short.includes(".") ? short : `${short}.0`;
}

/** A value in nats with its standard error, if that is known and not zero, to the first digit that is not zero. */
export function nats(value: number, stderr: number): string {
  if (Number.isNaN(value)) return "–";
  if (Number.isNaN(stderr) || stderr === 0) return value.toFixed(1);
  const digits = Math.min(Math.max(Math.ceil(-Math.log10(stderr * 1.05)), 1), 3);
  return `${value.toFixed(digits)} ± ${stderr.toFixed(digits)}`;
}

/** The name of a recording with a moment or a span of it, as a media fragment: "song.wav#t=12.34,15.00". */
export function link(name: string, times: readonly number[]): string {
  return `${encodeURI(name).replace(/#/g, "%23")}#t=${times.map((time) => time.toFixed(2)).join(",")}`;
}
