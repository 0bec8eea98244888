import { env } from 'node:process';
import { defineConfig } from '@playwright/test';
import { consoleURL } from './environment';

// The system under test runs already: TIDEGATE_CONSOLE_URL and TIDEGATE_TOKEN_FILE say where. Debian's Chromium drives it.
export default defineConfig({
  testDir: '.',
  outputDir: 'test-results',
  timeout: 90_000,
  expect: { timeout: 15_000 },
  forbidOnly: true,
  // One fleet has one active rollout, so specs take turns.
  workers: 1,
  reporter: 'list',
  use: {
    baseURL: consoleURL(),
    viewport: { width: 1360, height: 900 },
    trace: 'retain-on-failure',
    screenshot: 'only-on-failure',
    launchOptions: {
      executablePath: env['TIDEGATE_CHROMIUM'] ?? '/usr/bin/chromium',
      args: ['--no-sandbox'], // root, as in CI, has no sandbox
    },
  },
});
