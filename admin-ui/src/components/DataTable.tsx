import { Skeleton, Table, UnstyledButton } from '@mantine/core';
import { IconArrowDown, IconArrowUp } from '@tabler/icons-react';
import {
  type Column,
  type ColumnDef,
  createColumnHelper,
  createSortedRowModel,
  type RowData,
  rowSortingFeature,
  sortFn_alphanumeric,
  sortFn_basic,
  sortFn_text,
  tableFeatures,
  useTable,
} from '@tanstack/react-table';
import { type ReactNode, useState } from 'react';
import classes from './DataTable.module.css';
import { MoreButton } from './MoreButton';

const features = tableFeatures({
  rowSortingFeature,
  sortedRowModel: createSortedRowModel(),
  sortFns: { alphanumeric: sortFn_alphanumeric, basic: sortFn_basic, text: sortFn_text },
});

type Features = typeof features;
export type Columns<T extends RowData> = ColumnDef<Features, T>[];

/** Columns are made once, outside of components: the table rebuilds its model when they change. */
export function columnsOf<T extends RowData>() {
  return createColumnHelper<Features, T>();
}

/** Rows that are drawn at first, and with each press of a button: tables of live things are drawn anew each second. */
const AT_ONCE = 100;

interface DataTableProps<T extends RowData> {
  /** What the table holds, for those who cannot see it. */
  label: string;
  columns: Columns<T>;
  data: T[];
  rowKey: (row: T) => string;
  /** Shown in place of rows when there are none. */
  empty: ReactNode;
  /** Sorting is off by default: a list that comes in pages is in the server's order. */
  sortable?: boolean;
}

/** A plain table that scrolls sideways rather than squeeze its content. */
export function DataTable<T extends RowData>({ label, columns, data, rowKey, empty, sortable = false }: DataTableProps<T>) {
  const [most, setMost] = useState(AT_ONCE);
  const table = useTable({ features, columns, data, getRowId: rowKey, enableSorting: sortable, sortDescFirst: false });
  if (data.length === 0) return <>{empty}</>;
  return (
    <>
      <Table.ScrollContainer minWidth={640} type="native">
        <Table highlightOnHover aria-label={label} className={classes['table']}>
          <Table.Thead>
            {table.getHeaderGroups().map((group) => (
              <Table.Tr key={group.id}>
                {group.headers.map((header) => (
                  <Table.Th key={header.id} scope="col" aria-sort={ariaSort(header.column)}>
                    <Heading column={header.column}>
                      <table.FlexRender header={header} />
                    </Heading>
                  </Table.Th>
                ))}
              </Table.Tr>
            ))}
          </Table.Thead>
          <Table.Tbody>
            {table.getRowModel().rows.slice(0, most).map((row) => (
              <Table.Tr key={row.id}>
                {row.getAllCells().map((cell) => (
                  <Table.Td key={cell.id}>
                    <table.FlexRender cell={cell} />
                  </Table.Td>
                ))}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      <MoreButton shown={data.length > most} loading={false} onClick={() => setMost(most + AT_ONCE)} />
    </>
  );
}

/** A table before its data is there. */
export function LoadingTable({ rows = 4 }: { rows?: number }) {
  return (
    <div className={classes['loading']} role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, row) => (
        <Skeleton key={row} height={14} />
      ))}
    </div>
  );
}

function Heading<T extends RowData>({ column, children }: { column: Column<Features, T>; children: ReactNode }) {
  if (!column.getCanSort()) return children;
  const sorted = column.getIsSorted();
  return (
    <UnstyledButton className={classes['heading']} onClick={column.getToggleSortingHandler()}>
      {children}
      {sorted === 'asc' && <IconArrowUp size={12} aria-hidden />}
      {sorted === 'desc' && <IconArrowDown size={12} aria-hidden />}
    </UnstyledButton>
  );
}

function ariaSort<T extends RowData>(column: Column<Features, T>): 'ascending' | 'descending' | 'none' | undefined {
  if (!column.getCanSort()) return undefined;
  const sorted = column.getIsSorted();
  if (sorted === false) return 'none';
  return sorted === 'asc' ? 'ascending' : 'descending';
}
