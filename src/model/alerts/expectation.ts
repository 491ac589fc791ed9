/** An expectation of the configuration: who must push how often. */
export interface Expectation {
  /** The job that must push. Undefined if each job must that has pushed before. */
  readonly job: string | undefined;
  /** The instance that must push. Undefined if any instance of the job may. */
  readonly instance: string | undefined;
  readonly everyMs: number;
  /** Whether each instance that has pushed before must push again, and nobody who never pushed. */
  readonly learn: boolean;
  /** The labels of its alerts. */
  readonly labels: Readonly<Record<string, string>>;
}
