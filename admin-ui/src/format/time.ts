const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Milliseconds since the epoch of an RFC 3339 time, or undefined for one that is absent or not readable. */
export function instant(time: string | undefined): number | undefined {
  if (time === undefined || time === '') return undefined;
  const at = Date.parse(time);
  return Number.isNaN(at) ? undefined : at;
}

/** A length of time in its two largest units: 1 min 5 s. Never negative. */
export function duration(milliseconds: number): string {
  const length = Math.max(0, milliseconds);
  if (length < MINUTE) return `${Math.floor(length / SECOND)} s`;
  if (length < HOUR) return pair(length, MINUTE, 'min', SECOND, 's');
  if (length < DAY) return pair(length, HOUR, 'h', MINUTE, 'min');
  return pair(length, DAY, 'd', HOUR, 'h');
}

/** How long ago, by a clock that may run a little behind the server's: "just now", "12 s ago", "in 3 min". */
export function ago(time: string | undefined, now: number): string {
  const at = instant(time);
  if (at === undefined) return '–';
  const passed = now - at;
  if (Math.abs(passed) < 2 * SECOND) return 'just now';
  return passed > 0 ? `${coarse(passed)} ago` : `in ${coarse(-passed)}`;
}

/** A time on the clock here, with the date when it is not today's. */
export function clock(time: string | undefined, now: number): string {
  const at = instant(time);
  if (at === undefined) return '–';
  const date = new Date(at);
  const ofDay = date.toLocaleTimeString('en-GB');
  return date.toDateString() === new Date(now).toDateString() ? ofDay : `${day(date)}, ${ofDay}`;
}

/** A time in full, with its zone, for titles. */
export function full(time: string | undefined): string | undefined {
  const at = instant(time);
  return at === undefined ? undefined : new Date(at).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'long' });
}

/** Reads a duration as the API writes it ("15s", "1h30m", "250ms") as milliseconds; 0 for one that is absent or not readable. */
export function parseDuration(text: string | undefined): number {
  let sum = 0;
  for (const [, value, unit] of (text ?? '').matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)) {
    sum += Number(value) * (units[unit ?? ''] ?? 0);
  }
  return sum;
}

const units: Record<string, number> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: SECOND, m: MINUTE, h: HOUR };

function pair(length: number, large: number, largeName: string, small: number, smallName: string): string {
  const rest = Math.floor((length % large) / small);
  const begin = `${Math.floor(length / large)} ${largeName}`;
  return rest === 0 ? begin : `${begin} ${rest} ${smallName}`;
}

function coarse(length: number): string {
  if (length < MINUTE) return `${Math.floor(length / SECOND)} s`;
  if (length < HOUR) return `${Math.floor(length / MINUTE)} min`;
  if (length < DAY) return `${Math.floor(length / HOUR)} h`;
  return `${Math.floor(length / DAY)} d`;
}

function day(date: Date): string {
  return date.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' });
}
