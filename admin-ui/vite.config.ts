import { env } from 'node:process';
import { fileURLToPath } from 'node:url';
import { tanstackRouter } from '@tanstack/router-plugin/vite';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

const admin = env['TIDEGATE_ADMIN'] ?? 'http://127.0.0.1:9080';

export default defineConfig({
  plugins: [tanstackRouter(), react()],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  build: {
    target: 'es2022',
    // The control plane's content security policy takes files only, no data: URLs for fonts or scripts.
    assetsInlineLimit: 0,
    reportCompressedSize: true,
  },
  server: { port: 5173, strictPort: true, proxy: { '/v1': admin, '/openapi.json': admin } },
  test: {
    restoreMocks: true,
    unstubGlobals: true,
    // What has no page is tested without one, which starts faster.
    projects: [
      { extends: true, test: { name: 'logic', environment: 'node', include: ['src/**/*.test.ts'] } },
      { extends: true, test: { name: 'pages', environment: 'jsdom', include: ['src/**/*.test.tsx'], setupFiles: ['src/testing/setup.ts'], testTimeout: 20_000 } },
    ],
  },
});
