/** An attempt to send that failed for a reason that may pass. */
export class SendFailure extends Error {
  override readonly name = "SendFailure";
  /** How long the destination asks to wait, ms. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, retryAfterMs?: number) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}
