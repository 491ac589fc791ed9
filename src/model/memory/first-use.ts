/**
 * What must be done before something is used, such as to restore what was stored: a start does not wait for it, because nobody may
 * use it for long.
 *
 * Everything that is restored calls `begin` before it is used. The first call runs all actions, in the order in which they were added,
 * so that nobody sees a part of what they do. If one fails, this call and all later ones throw its error.
 */
export class FirstUse {
  /** Undefined after the first use. */
  #actions: (() => void)[] | undefined = [];

  get isOver(): boolean {
    return this.#actions === undefined;
  }

  /** Adds an action. After the first use it runs at once. */
  before(action: () => void): void {
    if (this.#actions === undefined) action();
    else this.#actions.push(action);
  }

  /** The first use begins. Actions may call it. */
  begin(): void {
    const actions = this.#actions;
    if (actions === undefined) return;
    this.#actions = undefined;
    try {
      for (const action of actions) action();
    } catch (error) {
      this.#actions = [
        () => {
          throw error;
        },
      ];
      throw error;
    }
  }
}
