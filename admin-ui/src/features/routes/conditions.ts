import type { Route } from '@/api/routes';

type Match = Route['spec']['match'];
type Condition = NonNullable<Match['headers']>[number];

/** What a route asks of a request beside its path and method, in words. */
export function conditionsOf(match: Match): string[] {
  return [
    ...(match.hosts?.length ? [`on ${match.hosts.join(', ')}`] : []),
    ...(match.headers ?? []).map((condition) => `header ${words(condition)}`),
    ...(match.query ?? []).map((condition) => `query ${words(condition)}`),
  ];
}

function words({ name, absent, present, equals, prefix, regex }: Condition): string {
  if (absent === true) return `${name} is absent`;
  if (present === true) return `${name} is there`;
  if (prefix !== undefined) return `${name} begins with ${prefix}`;
  if (regex !== undefined) return `${name} matches ${regex}`;
  return `${name} = ${equals ?? ''}`;
}
