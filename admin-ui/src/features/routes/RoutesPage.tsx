import { useInfiniteQuery } from '@tanstack/react-query';
import { routesQuery } from '@/api/routes';
import { ResourceList } from '@/components/ResourceList';
import { routeColumns } from './routeColumns';

interface RoutesPageProps {
  fleet: string;
  search: string;
  onSearch: (search: string) => void;
}

/** The routes of a fleet, to read and to search. */
export function RoutesPage({ fleet, search, onSearch }: RoutesPageProps) {
  const query = useInfiniteQuery(routesQuery(fleet, search));
  return (
    <ResourceList
      title="Routes"
      lead="Which requests go to which service."
      empty="A route says which requests go to which service."
      columns={routeColumns}
      query={query}
      search={search}
      onSearch={onSearch}
    />
  );
}
