import { useSyncExternalStore } from 'react';
import { serverClock } from '@/format/clock';

const SECOND = 1_000;

/** One timer for all who show the time, which runs while there are any: a page can hold a thousand of them. */
class Ticker {
  readonly #listeners = new Set<() => void>();
  #timer: ReturnType<typeof setInterval> | undefined;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    this.#timer ??= setInterval(() => {
      for (const each of this.#listeners) each();
    }, SECOND);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    };
  };
}

const ticker = new Ticker();

/** The present second by the control plane's clock, in milliseconds since the epoch; the component renders again when it changes. */
export function useNow(): number {
  return useSyncExternalStore(ticker.subscribe, () => Math.floor(serverClock.at(Date.now()) / SECOND) * SECOND);
}
