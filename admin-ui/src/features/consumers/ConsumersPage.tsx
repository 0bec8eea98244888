import { useInfiniteQuery } from '@tanstack/react-query';
import { consumersQuery } from '@/api/consumers';
import { ResourceList } from '@/components/ResourceList';
import { consumerColumns } from './consumerColumns';

interface ConsumersPageProps {
  fleet: string;
  search: string;
  onSearch: (search: string) => void;
}

/** The consumers of a fleet, to read and to search. */
export function ConsumersPage({ fleet, search, onSearch }: ConsumersPageProps) {
  const query = useInfiniteQuery(consumersQuery(fleet, search));
  return (
    <ResourceList
      title="Consumers"
      lead="Who calls. They travel in the fast lane and are served at once."
      empty="A consumer is who calls."
      columns={consumerColumns}
      query={query}
      search={search}
      onSearch={onSearch}
    />
  );
}
