import type { Span, TelemetrySeries } from '@/api/telemetry';

export const arms = ['candidate', 'stable'] as const;

export type Arm = (typeof arms)[number];

/** Which answers count as bad: those with status 5xx, whoever made them, or those that the gateway made, whatever their status. */
export const errorKinds = ['5xx', 'gateway'] as const;

export type ErrorKind = (typeof errorKinds)[number];

/** Requests a second and the share of errors, by arm, at the same times. */
export interface Traffic {
  /** The begin of each bucket, in seconds since the epoch. */
  times: number[];
  rate: Record<Arm, number[]>;
  /** 0 to 1; null where an arm answered nothing. */
  errors: Record<Arm, (number | null)[]>;
}

/** Agents' counts are kept in buckets of five seconds, so no step is shorter. In seconds. */
const steps = [5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 10_800, 43_200];

/** How many buckets a chart should have at most. */
const MOST_BUCKETS = 180;

/** What is shown before a rollout began and after it ended, in milliseconds. */
const MARGIN = 30_000;

/** Agents report each second; a bucket is whole a little after it ended. In milliseconds. */
const SETTLING = 2_000;

/** A stretch of time, in milliseconds since the epoch. */
export interface Stretch {
  begin: number;
  end: number;
}

/** What a chart shows of a rollout that began, and perhaps ended, then. */
export function stretchOf(begin: number, end: number | undefined, now: number): Stretch {
  return { begin: begin - MARGIN, end: Math.min(end === undefined ? now : end + MARGIN, now - SETTLING) };
}

/**
 * The stretch that a chart of a rollout asks for. The API looks back from now, so one that ended long ago is drawn coarsely.
 * Whole multiples keep the question the same for a while, and its answer in the cache. Times in milliseconds.
 */
export function spanOf(begin: number, now: number): Span {
  const needed = (now - begin) / 1000;
  const step = steps.find((each) => needed / each <= MOST_BUCKETS) ?? 86_400;
  const grain = step * 12;
  return { step, window: Math.min(30 * 86_400, Math.max(grain, Math.ceil(needed / grain) * grain)) };
}

/** Puts series by arm, class and reason together into two lines an arm. Buckets that still fill are left out. */
export function trafficOf(series: TelemetrySeries[], step: number, stretch: Stretch, kind: ErrorKind): Traffic {
  const cells = new Map<number, Record<Arm, { all: number; bad: number }>>();
  for (const { labels = {}, points = [] } of series) {
    const arm: Arm = labels['arm'] === 'candidate' ? 'candidate' : 'stable';
    const bad = kind === '5xx' ? labels['status_class'] === '5' : (labels['reason'] ?? '') !== '';
    for (const point of points) {
      const time = Date.parse(point.time ?? '') / 1000;
      const cell = cells.get(time) ?? { candidate: { all: 0, bad: 0 }, stable: { all: 0, bad: 0 } };
      const requests = Number(point.requests ?? 0);
      cell[arm].all += requests;
      if (bad) cell[arm].bad += requests;
      cells.set(time, cell);
    }
  }
  return lines(cells, step, { begin: stretch.begin / 1000, end: stretch.end / 1000 });
}

function lines(cells: Map<number, Record<Arm, { all: number; bad: number }>>, step: number, { begin, end }: Stretch): Traffic {
  const traffic: Traffic = { times: [], rate: { candidate: [], stable: [] }, errors: { candidate: [], stable: [] } };
  const known = [...cells.keys()].filter((time) => time + step > begin && time + step <= end);
  if (known.length === 0) return traffic;
  const last = Math.max(...known);
  for (let time = Math.min(...known); time <= last; time += step) {
    traffic.times.push(time);
    const cell = cells.get(time);
    for (const arm of arms) {
      const { all, bad } = cell?.[arm] ?? { all: 0, bad: 0 };
      traffic.rate[arm].push(all / step);
      traffic.errors[arm].push(all === 0 ? null : bad / all);
    }
  }
  return traffic;
}
