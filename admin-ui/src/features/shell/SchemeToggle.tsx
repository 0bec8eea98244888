import { ActionIcon, useComputedColorScheme, useMantineColorScheme } from '@mantine/core';
import { IconMoon, IconSun } from '@tabler/icons-react';

/** Light or dark; until it is used, the system decides. */
export function SchemeToggle() {
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme('light');
  const other = scheme === 'dark' ? 'light' : 'dark';
  return (
    <ActionIcon variant="subtle" color="gray" aria-label={`Use the ${other} scheme`} onClick={() => setColorScheme(other)}>
      {scheme === 'dark' ? <IconSun size={17} /> : <IconMoon size={17} />}
    </ActionIcon>
  );
}
