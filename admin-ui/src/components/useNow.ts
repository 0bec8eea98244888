import { useSyncExternalStore } from 'react';

const SECOND = 1_000;

function everySecond(onChange: () => void): () => void {
  const timer = setInterval(onChange, SECOND);
  return () => clearInterval(timer);
}

/** The present second, in milliseconds since the epoch; the component renders again when it changes. */
export function useNow(): number {
  return useSyncExternalStore(everySecond, () => Math.floor(Date.now() / SECOND) * SECOND);
}
