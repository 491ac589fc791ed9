/** Actions that wait to run between two commits. */

interface Action {
  readonly run: () => Promise<void>;
  readonly isAlone: boolean;
}

export class Actions {
  readonly #waiting: Action[] = [];

  /**
   * Adds an action. Resolves to what it returns.
   *
   * @param isAlone whether it waits until nothing is stored beside the commits
   */
  add<T>(action: () => Promise<T>, isAlone: boolean): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#waiting.push({ run: () => Promise.try(action).then(resolve, reject), isAlone });
    return promise;
  }

  /** Whether an action can run. `isFree` says that nothing is stored beside the commits. */
  hasNext(isFree: boolean): boolean {
    return isFree ? this.#waiting.length > 0 : this.#waiting.some(({ isAlone }) => !isAlone);
  }

  /** Takes the oldest action that can run. What it returns never rejects. */
  take(isFree: boolean): (() => Promise<void>) | undefined {
    const index = this.#waiting.findIndex(({ isAlone }) => isFree || !isAlone);
    return index < 0 ? undefined : this.#waiting.splice(index, 1)[0]!.run;
  }
}
