import { MantineProvider } from '@mantine/core';
import { QueryClientProvider } from '@tanstack/react-query';
import { createMemoryHistory, RouterProvider } from '@tanstack/react-router';
import { render } from '@testing-library/react';
import { createConsole } from '@/router';
import { theme } from '@/theme/theme';

/** The whole console at a path, as main.tsx puts it together. */
export function renderConsole(path: string) {
  const { queryClient, router } = createConsole(createMemoryHistory({ initialEntries: [path] }));
  const view = render(
    <MantineProvider theme={theme} env="test">
      <QueryClientProvider client={queryClient}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>,
  );
  return { ...view, router };
}
