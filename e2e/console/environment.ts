import { readFileSync } from 'node:fs';
import { env } from 'node:process';

/** Where the console is. */
export function consoleURL(): string {
  return required('TIDEGATE_CONSOLE_URL');
}

/** An admin token. */
export function adminToken(): string {
  return readFileSync(required('TIDEGATE_TOKEN_FILE'), 'utf8').trim();
}

/** The fleet that specs look at and publish to. */
export const fleet = env['TIDEGATE_FLEET'] ?? 'default';

function required(name: string): string {
  const value = env[name];
  if (value === undefined || value === '') throw new Error(`set ${name}, as the end-to-end tests in Go do`);
  return value;
}
