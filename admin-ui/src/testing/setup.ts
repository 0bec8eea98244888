import '@testing-library/jest-dom/vitest';
import { cleanup, configure } from '@testing-library/react';
import { afterEach } from 'vitest';

/** What Mantine asks of a browser and jsdom lacks. */
function matchMedia(query: string): Pick<MediaQueryList, 'matches' | 'media' | 'addEventListener' | 'removeEventListener'> {
  return { matches: false, media: query, addEventListener: () => undefined, removeEventListener: () => undefined };
}

class ResizeObserver {
  observe = () => undefined;
  unobserve = () => undefined;
  disconnect = () => undefined;
}

Object.assign(globalThis, { matchMedia, ResizeObserver, scrollTo: () => undefined });
HTMLElement.prototype.scrollIntoView = () => undefined;

// Pages are loaded when they are first shown, on machines that do other things too.
configure({ asyncUtilTimeout: 10_000 });

afterEach(cleanup);
