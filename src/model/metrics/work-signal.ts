/** Tells one listener that work begins. What measures the gateway sleeps while nothing happens. */
export class WorkSignal {
  #listener: (() => void) | undefined;

  /** Calls the listener at each begin from now on. It is called for each request, so it must take no time. */
  listen(listener: () => void): void {
    this.#listener = listener;
  }

  begin(): void {
    this.#listener?.();
  }
}
