import type { Evidence } from '@/api/rollouts';

const order: Record<string, number> = { fail: 0, inconclusive: 1, pass: 2 };

/** The most telling first: failed ones, then by how near they are to failing; totals before routes. */
export function sortEvidence(evidence: Evidence[]): Evidence[] {
  return evidence.toSorted(
    (a, b) =>
      (order[a.verdict ?? ''] ?? 1) - (order[b.verdict ?? ''] ?? 1) ||
      nearness(b.evidence, b.threshold) - nearness(a.evidence, a.threshold) ||
      (a.route ?? '').localeCompare(b.route ?? '') ||
      (a.metric ?? '').localeCompare(b.metric ?? ''),
  );
}

/**
 * How far evidence has come to its threshold, 0 to 1, on a scale of logarithms: evidence multiplies with each request, so equal
 * distances are equal numbers of bad requests. Evidence of 1 or less says nothing against the candidate.
 */
export function nearness(evidence = 0, threshold = 0): number {
  if (threshold <= 1 || evidence <= 1) return 0;
  return Math.min(1, Math.log(evidence) / Math.log(threshold));
}

/** What a metric counts, in words. */
export function metricWords(metric = ''): string {
  if (metric === 'upstream_5xx') return '5xx from the upstream';
  if (metric.startsWith('slower.')) return `slower than stable's ${metric.slice('slower.'.length)}`;
  const reason = metric.startsWith('gateway.') ? metric.slice('gateway.'.length) : undefined;
  return reason === undefined ? metric : `${reason.replaceAll('_', ' ')} (by the gateway)`;
}
