import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { ChangeSet, SeenChangeSet } from '@/api/changeSets';

/**
 * A write to a change set as it was when the dialog opened: if it has changed since, the API refuses, since nobody should approve
 * or publish what they have not seen.
 */
export function useChangeSetWrite<Input, Output>(
  fleet: string,
  { id = '', etag = '' }: ChangeSet,
  write: (seen: SeenChangeSet, input: Input) => Promise<Output>,
  onDone: (output: Output) => void | Promise<void>,
) {
  const queryClient = useQueryClient();
  const [seen] = useState<SeenChangeSet>({ fleet, id, etag });
  return useMutation({
    mutationFn: (input: Input) => write(seen, input),
    onSuccess: async (output) => {
      await queryClient.invalidateQueries({ queryKey: ['fleets', fleet, 'changeSets'] });
      await onDone(output);
    },
  });
}
