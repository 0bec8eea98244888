import js from '@eslint/js';
import reactHooks from 'eslint-plugin-react-hooks';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

// Who may import whom, as CONTRIBUTING.md says it in words.
const fence = (files, group, message) => ({
  files,
  ignores: ['**/*.test.{ts,tsx}'],
  rules: { 'no-restricted-imports': ['error', { patterns: [{ group, message }] }] },
});

export default defineConfig(
  globalIgnores(['dist', 'node_modules', 'src/routeTree.gen.ts', 'src/api/schema.d.ts']),
  js.configs.recommended,
  {
    files: ['**/*.{ts,tsx}'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: {
      parserOptions: { project: ['tsconfig.json', 'tsconfig.node.json'], tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      // The router redirects by throwing a value of its own.
      '@typescript-eslint/only-throw-error': ['error', { allow: [{ from: 'package', package: '@tanstack/router-core', name: 'Redirect' }] }],
      eqeqeq: 'error',
      'max-lines': ['error', 300],
    },
  },
  { files: ['src/**/*.{ts,tsx}'], ...reactHooks.configs.flat['recommended-latest'] },
  { files: ['src/**/*.{ts,tsx}'], rules: { 'no-console': 'error' } },
  fence(['src/api/**'], ['@/features/*', '@/components/*', '@/routes/*', 'react', '@mantine/*'], 'api speaks HTTP and knows no page'),
  fence(['src/components/**'], ['@/features/*', '@/routes/*', '@/api/*'], 'components are shared and fetch nothing'),
  fence(['src/features/**'], ['@/features/*', '@/routes/*'], 'a feature never imports another feature'),
  fence(['src/format/**'], ['@/*', 'react', '@mantine/*'], 'format is pure'),
);
