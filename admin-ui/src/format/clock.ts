/** Smaller differences are noise: the header counts whole seconds, and answers take time to arrive. In milliseconds. */
const TOLERANCE = 2_000;

/**
 * The control plane's clock, as the Date header of its answers shows it (RFC 9110, section 6.6.1). Every time that the API gives
 * is by that clock, and people's own may be wrong by minutes.
 */
export class ServerClock {
  #offset = 0;

  /** Takes note of an answer's Date header, at the local time at which it came. */
  observe(header: string | null, local: number): void {
    const shown = Date.parse(header ?? '');
    if (Number.isNaN(shown)) return;
    const offset = shown - local;
    if (Math.abs(offset) < TOLERANCE) this.#offset = 0;
    else if (Math.abs(offset - this.#offset) > TOLERANCE) this.#offset = offset;
  }

  /** The time there when it is this time here; both in milliseconds since the epoch. */
  at(local: number): number {
    return local + this.#offset;
  }
}

/** The clock of the control plane that serves this console. */
export const serverClock = new ServerClock();
