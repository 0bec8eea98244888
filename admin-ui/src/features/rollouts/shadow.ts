import type { Expectation, ShadowResult } from '@/api/rollouts';
import { count } from '@/format/number';

/** An expectation as the command line takes it: "--expect orders:key_missing:5". */
export function expectFlag({ route, reason, max_percent = 0 }: Expectation): string {
  return `--expect ${route}:${reason}:${max_percent}`;
}

/** What one side did with a request: "key_missing on route orders". */
export function decisionWords(decision = '', route = ''): string {
  const words = decision.includes(' ') ? decision : decision.replaceAll('_', ' ');
  return route === '' ? words : `${words} on route ${route}`;
}

/** How many were sampled, and how many of them would be decided otherwise. */
export function shadowWords({ sampled, different }: ShadowResult): string {
  return `${count(different)} of ${count(sampled)} sampled requests would be decided otherwise`;
}
