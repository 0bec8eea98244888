import { Select } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { fleetsQuery } from '@/api/fleets';

/** Goes to another fleet. */
export function FleetPicker({ fleet }: { fleet: string | undefined }) {
  const navigate = useNavigate();
  const { data = [] } = useQuery(fleetsQuery);
  const names = data.map((each) => each.name);
  return (
    <Select
      aria-label="Fleet"
      size="xs"
      data={names}
      value={fleet ?? null}
      placeholder="Choose a fleet"
      searchable={names.length > 10}
      allowDeselect={false}
      nothingFoundMessage="No such fleet"
      onChange={(name) => {
        if (name !== null) void navigate({ to: '/fleets/$fleet', params: { fleet: name } });
      }}
    />
  );
}
