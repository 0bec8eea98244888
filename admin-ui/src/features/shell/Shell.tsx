import { AppShell, Burger, Group, Image, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { AccountMenu } from './AccountMenu';
import { ActiveRollout } from './ActiveRollout';
import { FleetPicker } from './FleetPicker';
import { Navigation } from './Navigation';
import { SchemeToggle } from './SchemeToggle';
import classes from './Shell.module.css';

interface ShellProps {
  /** The fleet that the page is about, if any. */
  fleet: string | undefined;
  children: ReactNode;
}

/** What is around every page once somebody is signed in. */
export function Shell({ fleet, children }: ShellProps) {
  const [opened, menu] = useDisclosure(false);
  return (
    <AppShell header={{ height: 48 }} navbar={{ width: 212, breakpoint: 'sm', collapsed: { mobile: !opened } }} padding="lg" transitionDuration={0}>
      <a href="#main" className={classes['skip']}>
        Skip to the content
      </a>
      <AppShell.Header className={classes['header']}>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap">
            <Burger opened={opened} onClick={menu.toggle} hiddenFrom="sm" size="sm" aria-label="Navigation" />
            <Link to="/" className={classes['brand']}>
              <Image src="/icon.svg" alt="" w={24} h={24} />
              <Text fw={650} size="lg">
                Tidegate
              </Text>
            </Link>
          </Group>
          <Group gap="xs" wrap="nowrap">
            {fleet !== undefined && <ActiveRollout fleet={fleet} />}
            <SchemeToggle />
            <AccountMenu />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="sm" className={classes['navbar']} aria-label="Fleet">
        <FleetPicker fleet={fleet} />
        {fleet !== undefined && <Navigation fleet={fleet} onNavigate={menu.close} />}
      </AppShell.Navbar>
      <AppShell.Main id="main" tabIndex={-1} className={classes['main']}>
        {children}
      </AppShell.Main>
    </AppShell>
  );
}
