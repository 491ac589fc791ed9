/**
 * Notifiers over HTTP: Alertmanager's webhook, Slack and what understands its messages (Mattermost, Discord's `/slack`,
 * Rocket.Chat), and ntfy.
 */
import type { NotifierTarget } from "../../../model/alerts/notifier.ts";
import { cut } from "../texts/default-texts.ts";
import { webhookBody } from "../texts/notification-data.ts";
import { postJson, urlOf } from "./http-post.ts";
import { DeliveryFailure, type SendMessage } from "./notification-sender.ts";

type TargetOf<Type extends NotifierTarget["type"]> = Extract<NotifierTarget, { readonly type: Type }>;

export function webhookSender(target: TargetOf<"webhook">): SendMessage {
  return async ({ data }, signal) => {
    await postJson(target, await urlOf(target), webhookBody(data, target.maxAlerts), signal);
  };
}

/** Discord cuts titles at 256 characters, and rejects texts of more than 4,096; Slack cuts at 3,000. */
const SLACK_TITLE_MAX = 250;
const SLACK_TEXT_MAX = 3_000;
const RED = "#d9534f";
const GREEN = "#4cae4c";

export function slackSender(target: TargetOf<"slack">): SendMessage {
  const { channel, username } = target;
  return async ({ title, text, data }, signal) => {
    const link =
      data.alerts.find(({ generatorURL }) => generatorURL !== "")?.generatorURL ?? data.externalURL;
    const shownTitle = cut(title, SLACK_TITLE_MAX);
    const body = {
      ...(channel === undefined ? {} : { channel }),
      ...(username === undefined ? {} : { username }),
      attachments: [
        {
          color: data.status === "firing" ? RED : GREEN,
          fallback: shownTitle,
          title: shownTitle,
          ...(link === "" ? {} : { title_link: link }),
          text: cut(slackText(text), SLACK_TEXT_MAX),
          footer: "weir",
          ts: Math.floor(Math.min(...data.alerts.map(({ startsAt }) => startsAt)) / 1000),
        },
      ],
    };
    const answer = await postJson(target, await urlOf(target), body, signal);
    // Slack's API answers errors with 200.
    const error = /^\{.*"ok"\s*:\s*false/s.test(answer)
      ? (/"error"\s*:\s*"([\w.-]+)"/.exec(answer)?.[1] ?? "")
      : undefined;
    if (error !== undefined)
      throw new DeliveryFailure(`the receiver answered ok=false ${error}`.trim(), {
        isTemporary: /ratelimited|timeout|internal|unavailable|fatal/.test(error),
      });
  };
}

/** Slack reads these characters as the beginning of a link or of a mention, such as `<!channel>`. */
function slackText(text: string): string {
  return text
    .replace(/&(?!amp;|lt;|gt;)/g, "&amp;")
    .replace(/</g, "&lt;")
    .replace(/>/g, "&gt;");
}

/** ntfy makes an attachment of a message of more than 4,096 bytes. A character has up to 4. */
const NTFY_TEXT_BYTES_MAX = 4_000;
const NTFY_HIGH = 4;
const NTFY_USUAL = 3;

export function ntfySender(target: TargetOf<"ntfy">): SendMessage {
  const { priority, tags } = target;
  return async ({ title, text, data }, signal) => {
    const url = await urlOf(target);
    const segments = url.pathname.split("/");
    const topic = segments.pop() ?? "";
    url.pathname = segments.join("/") || "/";
    const isFiring = data.status === "firing";
    const link =
      data.alerts.find(({ generatorURL }) => generatorURL !== "")?.generatorURL ?? data.externalURL;
    const body = {
      topic,
      title,
      message: cutBytes(text, NTFY_TEXT_BYTES_MAX),
      priority: priority ?? (isFiring ? NTFY_HIGH : NTFY_USUAL),
      tags: [isFiring ? "rotating_light" : "white_check_mark", ...tags],
      ...(link === "" ? {} : { click: link }),
    };
    await postJson(target, url, body, signal);
  };
}

/** The text, or its beginning with an ellipsis, in at most some bytes of UTF-8. */
function cutBytes(text: string, bytesMax: number): string {
  if (Buffer.byteLength(text) <= bytesMax) return text;
  let bytes = Buffer.byteLength("…");
  let kept = "";
  for (const character of text) {
    bytes += Buffer.byteLength(character);
    if (bytes > bytesMax) break;
    kept += character;
  }
  return `${kept}…`;
}
