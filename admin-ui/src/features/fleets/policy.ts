import type { FleetPolicy, FreezeWindow } from '@/api/fleets';
import { full } from '@/format/time';

/** How many approvals the fleet asks for: "1 for medium risk, 2 for high risk". */
export function approvalWords({ approvals }: FleetPolicy): string {
  const asked = (['low', 'medium', 'high'] as const).filter((risk) => (approvals?.[risk] ?? 0) > 0);
  return asked.length === 0 ? 'none' : asked.map((risk) => `${approvals?.[risk]} for ${risk} risk`).join(', ');
}

/** When a window is: once, or every week. */
export function windowWords({ start = '', end = '', days = [], from = '', to = '', time_zone = '' }: FreezeWindow): string {
  if (start !== '') return `${full(start)} to ${full(end)}`;
  return `${days.length === 0 ? 'every day' : days.join(', ')} ${from}–${to} ${time_zone === '' ? 'UTC' : time_zone}`;
}

/** The host of a URL; its path may hold a secret, and is not for everybody's eyes. */
export function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : '';
}

/** What a newer revision does while a rollout runs. */
export function newerWords({ newer_revision }: FleetPolicy): string {
  return newer_revision === 'supersede' ? 'ends it, and carries its changes' : 'waits for its end';
}
