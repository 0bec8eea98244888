import {
  IconArrowFork,
  IconGitCommit,
  IconGitPullRequest,
  IconHeartbeat,
  IconPlug,
  IconServer,
  IconTicket,
  IconUsers,
  IconWaveSine,
  type TablerIcon,
} from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import classes from './Shell.module.css';

/** Pages of one fleet have no other parameter. */
type PageOfFleet = '/fleets/$fleet' | `/fleets/$fleet/${'change-sets' | 'rollouts' | 'revisions' | 'services' | 'routes' | 'plugins' | 'plans' | 'consumers'}`;

interface Entry {
  to: PageOfFleet;
  label: string;
  icon: TablerIcon;
  /** Only this page itself, not those below it. */
  exact?: boolean;
}

const groups: { name: string; entries: Entry[] }[] = [
  {
    name: 'Delivery',
    entries: [
      { to: '/fleets/$fleet', label: 'Fleet', icon: IconHeartbeat, exact: true },
      { to: '/fleets/$fleet/change-sets', label: 'Change sets', icon: IconGitPullRequest },
      { to: '/fleets/$fleet/rollouts', label: 'Rollouts', icon: IconWaveSine },
      { to: '/fleets/$fleet/revisions', label: 'Revisions', icon: IconGitCommit },
    ],
  },
  {
    name: 'Configuration',
    entries: [
      { to: '/fleets/$fleet/services', label: 'Services', icon: IconServer },
      { to: '/fleets/$fleet/routes', label: 'Routes', icon: IconArrowFork },
      { to: '/fleets/$fleet/plugins', label: 'Plugins', icon: IconPlug },
      { to: '/fleets/$fleet/plans', label: 'Plans', icon: IconTicket },
    ],
  },
  { name: 'Access', entries: [{ to: '/fleets/$fleet/consumers', label: 'Consumers', icon: IconUsers }] },
];

interface NavigationProps {
  fleet: string;
  onNavigate: () => void;
}

/** The pages of a fleet. */
export function Navigation({ fleet, onNavigate }: NavigationProps) {
  return (
    <nav aria-label="Pages of the fleet">
      {groups.map((group) => (
        <div key={group.name}>
          <div className={classes['group']}>{group.name}</div>
          {group.entries.map((entry) => (
            <Link
              key={entry.label}
              to={entry.to}
              params={{ fleet }}
              activeOptions={{ exact: entry.exact ?? false, includeSearch: false }}
              className={classes['link']}
              onClick={onNavigate}
            >
              <entry.icon size={16} stroke={1.7} aria-hidden />
              {entry.label}
            </Link>
          ))}
        </div>
      ))}
    </nav>
  );
}
