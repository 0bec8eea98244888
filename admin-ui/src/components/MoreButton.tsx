import { Button, Center } from '@mantine/core';

interface MoreButtonProps {
  shown: boolean;
  loading: boolean;
  onClick: () => void;
}

/** Asks for the next page of a list. */
export function MoreButton({ shown, loading, onClick }: MoreButtonProps) {
  if (!shown) return null;
  return (
    <Center p="sm">
      <Button variant="subtle" loading={loading} onClick={onClick}>
        Load more
      </Button>
    </Center>
  );
}
