import { useInfiniteQuery } from '@tanstack/react-query';
import { servicesQuery } from '@/api/services';
import { ResourceList } from '@/components/ResourceList';
import { serviceColumns } from './serviceColumns';

interface ServicesPageProps {
  fleet: string;
  search: string;
  onSearch: (search: string) => void;
}

/** The services of a fleet, to read and to search. */
export function ServicesPage({ fleet, search, onSearch }: ServicesPageProps) {
  const query = useInfiniteQuery(servicesQuery(fleet, search));
  return (
    <ResourceList
      title="Services"
      lead="Where requests go."
      empty="A service says where requests go."
      columns={serviceColumns}
      query={query}
      search={search}
      onSearch={onSearch}
    />
  );
}
