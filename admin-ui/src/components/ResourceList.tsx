import { Code, Stack, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { IconSearch } from '@tabler/icons-react';
import { useState } from 'react';
import { type Columns, DataTable, LoadingTable } from './DataTable';
import { MoreButton } from './MoreButton';
import { Empty, Failure } from './Notice';
import { Page } from './Page';
import { Section } from './Section';

/** How long typing must rest before it is searched, in milliseconds. */
const REST = 250;

/** What a list needs of a query that comes in pages. */
interface PagedQuery<T> {
  data: { pages: { items: T[] }[] } | undefined;
  error: Error | null;
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  refetch: () => Promise<unknown>;
  fetchNextPage: () => Promise<unknown>;
}

interface ResourceListProps<T extends { name?: string }> {
  title: string;
  lead: string;
  /** What such a resource is, said when there is none. */
  empty: string;
  columns: Columns<T>;
  query: PagedQuery<T>;
  search: string;
  onSearch: (search: string) => void;
}

/** A page that lists the resources of one kind by name. */
export function ResourceList<T extends { name?: string }>({ title, lead, empty, columns, query, search, onSearch }: ResourceListProps<T>) {
  const { data, error, hasNextPage, isFetchingNextPage, refetch, fetchNextPage } = query;
  const items = data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Page title={title} lead={lead} actions={<Search label={`Search ${title.toLowerCase()}`} value={search} onChange={onSearch} />}>
      <Stack gap="xs">
        {error && <Failure error={error} doing={`Loading ${title.toLowerCase()}`} retry={() => void refetch()} />}
        <Section title={search === '' ? `All ${title.toLowerCase()}` : `Names that begin with “${search}”`} note={note(items.length, hasNextPage)} flush>
          {data ? (
            <DataTable label={title} columns={columns} data={items} rowKey={(item) => item.name ?? ''} empty={<Nothing empty={empty} search={search} />} />
          ) : (
            !error && <LoadingTable />
          )}
          <MoreButton shown={hasNextPage} loading={isFetchingNextPage} onClick={() => void fetchNextPage()} />
        </Section>
      </Stack>
    </Page>
  );
}

function note(shown: number, more: boolean): string | undefined {
  if (shown === 0) return undefined;
  return more ? `the first ${shown}` : `${shown}`;
}

function Search({ label, value, onChange }: { label: string; value: string; onChange: (search: string) => void }) {
  const [text, setText] = useState(value);
  const search = useDebouncedCallback(onChange, REST);
  return (
    <TextInput
      type="search"
      size="xs"
      w={220}
      aria-label={label}
      placeholder="Name begins with…"
      leftSection={<IconSearch size={14} aria-hidden />}
      value={text}
      onChange={(event) => {
        setText(event.currentTarget.value);
        search(event.currentTarget.value.trim());
      }}
    />
  );
}

function Nothing({ empty, search }: { empty: string; search: string }) {
  if (search !== '') return <Empty title="No name begins like that">Search looks at the beginning of names, and tells small letters from capitals.</Empty>;
  return (
    <Empty title="None yet">
      {empty} Write one into a file and publish it with <Code>tidegate apply -f FILE</Code>.
    </Empty>
  );
}
