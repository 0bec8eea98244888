/** The change of one resource, as the API tells it. */
export interface ResourceChange {
  /** "create", "update" or "delete". */
  action?: string;
  kind?: string;
  name?: string;
  before?: object;
  after?: object;
  fields?: { path?: string; before?: string; after?: string }[];
}

export interface FieldRow {
  path: string;
  before: string;
  after: string;
}

/** The fields of a change: those that differ, or all of a resource that is made or deleted. */
export function fieldsOf(change: ResourceChange): FieldRow[] {
  switch (change.action) {
    case 'create':
      return leaves(change.after, '').map(([path, value]) => ({ path, before: '', after: value }));
    case 'delete':
      return leaves(change.before, '').map(([path, value]) => ({ path, before: value, after: '' }));
    default:
      return (change.fields ?? []).map(({ path = '', before = '', after = '' }) => ({ path, before, after }));
  }
}

/** Every value inside with its path, as the API writes paths: "spec.match.paths[0]". The resource's own member is its spec. */
function leaves(value: unknown, path: string): [string, string][] {
  if (Array.isArray(value)) return value.flatMap((each, index) => leaves(each, `${path}[${index}]`));
  if (typeof value !== 'object' || value === null) return value === undefined ? [] : [[path, JSON.stringify(value)]];
  const entries = Object.entries(value as Record<string, unknown>);
  if (path === '') return entries.flatMap(([key, each]) => (key === 'name' ? [] : leaves(each, key === 'labels' ? key : 'spec')));
  return entries.length === 0 ? [[path, '{}']] : entries.flatMap(([key, each]) => leaves(each, `${path}.${key}`));
}
