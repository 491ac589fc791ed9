/**
 * The order of a store's operations. There are two lanes: commits run one after the other, and so do operations on the
 * writer's connection. A commit that only appends to the journal needs no connection. So it does not wait for an operation
 * that takes long, such as a checkpoint or the commit of a large change.
 */
export class OperationOrder {
  readonly #explain: (error: unknown) => unknown;
  readonly #note: (error: unknown) => void;
  #lastCommit: Promise<unknown> = Promise.resolve();
  #lastOperation: Promise<unknown> = Promise.resolve();

  /**
   * @param explain returns the error for the caller of a failed operation
   * @param note receives that error before the next operation begins
   */
  constructor(explain: (error: unknown) => unknown, note: (error: unknown) => void) {
    this.#explain = explain;
    this.#note = note;
  }

  /** Runs a commit after the commits before it, and before those after it. */
  commit<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#lastCommit.then(action, action);
    this.#lastCommit = result.catch(() => undefined);
    return result;
  }

  /** Runs one operation at a time on the writer's connection, in the order of the calls. */
  operation<T>(action: () => Promise<T>): Promise<T> {
    const task = async () => {
      try {
        return await action();
      } catch (error) {
        throw this.#explain(error);
      }
    };
    const result = this.#lastOperation.then(task, task);
    this.#lastOperation = result.catch(this.#note);
    return result;
  }

  /** Resolves when no commit runs. */
  async commitsEnded(): Promise<void> {
    await this.#lastCommit;
  }
}
