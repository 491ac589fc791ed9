/**
 * A notifier: which alerts it gets, how they are grouped, and where they are sent. The settings of weir.toml have the same
 * names in snake case (src/rules/notifications/README.md).
 */
import type { AlertMatcher } from "./alert-matcher.ts";
import type { ScrapeAuthorization, ScrapeTls, Secret } from "../scrape-job.ts";

/** The types of notifiers. */
export const NOTIFIER_TYPES = ["alertmanager", "webhook", "slack", "ntfy", "email", "exec"] as const;

export type NotifierType = (typeof NOTIFIER_TYPES)[number];

/** A server that is asked by HTTP. The URL of some is a secret as a whole. */
export interface NotifierServer {
  readonly url: Secret;
  readonly authorization?: ScrapeAuthorization;
  readonly tls?: ScrapeTls;
}

/** Where a notification is sent. */
export type NotifierTarget =
  | (NotifierServer & { readonly type: "alertmanager" })
  | (NotifierServer & {
      readonly type: "webhook";
      /** The most alerts of a notification. 0 is no limit. */
      readonly maxAlerts: number;
    })
  | (NotifierServer & { readonly type: "slack"; readonly channel?: string; readonly username?: string })
  | (NotifierServer & {
      readonly type: "ntfy";
      /** From 1 to 5. Without one it depends on the status. */
      readonly priority?: number;
      readonly tags: readonly string[];
    })
  | {
      readonly type: "email";
      readonly host: string;
      readonly port: number;
      /** TLS from the first byte (smtps). */
      readonly isTls: boolean;
      /** Whether mail is sent only after STARTTLS, or over smtps. */
      readonly requireTls: boolean;
      readonly tls?: ScrapeTls;
      readonly from: string;
      readonly to: readonly string[];
      readonly username?: string;
      readonly password?: Secret;
    }
  | {
      readonly type: "exec";
      /** The path of the program, and its arguments. */
      readonly command: readonly [string, ...string[]];
    };

export interface Notifier {
  /** The name of the receiver in notifications, in metrics and in the log of sent notifications. */
  readonly name: string;
  /** All must match. */
  readonly matchers: readonly AlertMatcher[];
  /** Whether later notifiers get the alerts that this one gets. */
  readonly continues: boolean;
  /** Names of labels. `all` makes a group of each alert. */
  readonly groupBy: readonly string[] | "all";
  readonly groupWaitMs: number;
  readonly groupIntervalMs: number;
  readonly repeatIntervalMs: number;
  readonly sendResolved: boolean;
  /** Time limit of one attempt. */
  readonly timeoutMs: number;
  /** Templates. The defaults are code. */
  readonly title?: string;
  readonly text?: string;
  readonly target: NotifierTarget;
}

/** Alerts that match `targetMatchers` are muted while an alert that matches `sourceMatchers` is firing. */
export interface InhibitRule {
  readonly sourceMatchers: readonly AlertMatcher[];
  readonly targetMatchers: readonly AlertMatcher[];
  /** Labels that both alerts must have with equal values. */
  readonly equal: readonly string[];
}
