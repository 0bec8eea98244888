import { Checkbox, Stack } from '@mantine/core';
import type { PublishOptions } from '@/api/changeSets';

interface PublishExceptionsProps {
  options: PublishOptions;
  deletesRoutes: boolean;
  /** Whoever is not one is offered nothing that goes around the fleet's policy. */
  administrator: boolean;
  onChange: (options: PublishOptions) => void;
}

/** What a publish may ask for beyond the usual. */
export function PublishExceptions({ options, deletesRoutes, administrator, onChange }: PublishExceptionsProps) {
  if (!administrator && !deletesRoutes) return null;
  return (
    <Stack gap="xs" role="group" aria-label="Exceptions">
      {deletesRoutes && (
        <Checkbox
          label="It is meant to delete so many routes"
          description="Needed when they are a larger share than the fleet's policy lets pass"
          checked={options.allow_deletes ?? false}
          onChange={(event) => onChange({ allow_deletes: event.currentTarget.checked })}
        />
      )}
      {administrator && (
        <>
          <Checkbox
            label="Override freeze windows"
            description="It goes out although nothing is published now; say why above"
            checked={options.override_freeze ?? false}
            onChange={(event) => onChange({ override_freeze: event.currentTarget.checked })}
          />
          <Checkbox
            color="red"
            label="Emergency"
            description="To all agents at once, without steps, approvals and freeze windows; it ends the rollout that runs. Say why above"
            checked={options.emergency ?? false}
            onChange={(event) => onChange({ emergency: event.currentTarget.checked })}
          />
        </>
      )}
    </Stack>
  );
}
