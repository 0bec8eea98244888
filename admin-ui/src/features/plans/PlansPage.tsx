import { useInfiniteQuery } from '@tanstack/react-query';
import { plansQuery } from '@/api/plans';
import { ResourceList } from '@/components/ResourceList';
import { planColumns } from './planColumns';

interface PlansPageProps {
  fleet: string;
  search: string;
  onSearch: (search: string) => void;
}

/** The plans of a fleet, to read and to search. */
export function PlansPage({ fleet, search, onSearch }: PlansPageProps) {
  const query = useInfiniteQuery(plansQuery(fleet, search));
  return (
    <ResourceList
      title="Plans"
      lead="Limits that consumers share by subscribing."
      empty="A plan holds limits that consumers share."
      columns={planColumns}
      query={query}
      search={search}
      onSearch={onSearch}
    />
  );
}
