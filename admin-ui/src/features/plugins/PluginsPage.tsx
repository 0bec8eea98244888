import { useInfiniteQuery } from '@tanstack/react-query';
import { pluginsQuery } from '@/api/plugins';
import { ResourceList } from '@/components/ResourceList';
import { pluginColumns } from './pluginColumns';

interface PluginsPageProps {
  fleet: string;
  search: string;
  onSearch: (search: string) => void;
}

/** The plugins of a fleet, to read and to search. */
export function PluginsPage({ fleet, search, onSearch }: PluginsPageProps) {
  const query = useInfiniteQuery(pluginsQuery(fleet, search));
  return (
    <ResourceList
      title="Plugins"
      lead="Policies, and where they apply."
      empty="A plugin is one policy bound to a scope."
      columns={pluginColumns}
      query={query}
      search={search}
      onSearch={onSearch}
    />
  );
}
