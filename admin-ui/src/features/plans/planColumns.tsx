import type { Plan } from '@/api/plans';
import { columnsOf } from '@/components/DataTable';
import { nameColumn, revisionColumn, stateColumn, updatedColumn } from '@/components/resourceColumns';
import { count } from '@/format/number';

const column = columnsOf<Plan>();

export const planColumns = column.columns([
  nameColumn<Plan>(),
  column.display({
    id: 'limits',
    header: 'Limits for each consumer',
    cell: ({ row: { original: { spec } } }) => (spec.limits ?? []).map((limit) => <div key={limit.per}>{words(limit)}</div>),
  }),
  stateColumn<Plan>(),
  revisionColumn<Plan>(),
  updatedColumn<Plan>(),
]);

function words({ requests, per, burst }: { requests?: number; per?: string; burst?: number }): string {
  const limit = `${count(requests)} requests per ${per}`;
  return (burst ?? 0) === 0 ? limit : `${limit}, ${count(burst)} at once`;
}
