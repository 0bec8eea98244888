import type { Route } from '@/api/routes';
import { share } from '@/format/number';

/** Which services answer: the one, or each with its share of the requests. */
export function backendsOf({ service, backends = [] }: Route['spec']): string[] {
  if (backends.length === 0) return service === undefined ? [] : [service];
  const whole = backends.reduce((sum, backend) => sum + (backend.weight ?? 0), 0);
  return backends.map((backend) => `${backend.service} ${share(whole === 0 ? 0 : (backend.weight ?? 0) / whole)}`);
}
