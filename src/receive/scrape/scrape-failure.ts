/** Why a scrape failed. */

/** The whole scrape failed. The message is for people, and has no secret. */
export class ScrapeFailure extends Error {
  /** A short, bounded word for counters: `connection`, `status`, `timeout`, `syntax`, or the name of a limit. */
  override readonly cause: string;

  constructor(cause: string, message: string) {
    super(message);
    this.name = "ScrapeFailure";
    this.cause = cause;
  }
}
