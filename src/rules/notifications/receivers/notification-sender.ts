/** The contract of the types of notifiers: each sends one notification, and says what a failure means. */
import type { NotificationTexts } from "../texts/default-texts.ts";
import type { NotificationData } from "../texts/notification-data.ts";

/** A notification, ready to be sent. */
export interface Message extends NotificationTexts {
  readonly data: NotificationData;
}

/** The message has no secret, and no full stop. */
export class DeliveryFailure extends Error {
  override readonly name = "DeliveryFailure";
  /** Whether another attempt may succeed. */
  readonly isTemporary: boolean;
  /** How long the receiver wants to be left alone. */
  readonly retryAfterMs: number | undefined;

  constructor(
    message: string,
    { isTemporary, retryAfterMs }: { isTemporary: boolean; retryAfterMs?: number },
  ) {
    super(message);
    this.isTemporary = isTemporary;
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * Sends a notification: one attempt. Resolves when the receiver has taken it.
 *
 * @param signal ends the attempt
 * @throws DeliveryFailure
 */
export type SendMessage = (message: Message, signal: AbortSignal) => Promise<void>;
