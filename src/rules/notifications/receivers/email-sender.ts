/**
 * Notifications by mail, over SMTP. A receiver that rejects a message for ever (5xx) is not asked again. Line feeds of a
 * title cannot add headers: nodemailer folds them.
 */
import type { NotifierTarget } from "../../../model/alerts/notifier.ts";
import { SecretFault, secretText, tlsOptions } from "../../../wire/outgoing-request.ts";
import { DeliveryFailure, type SendMessage } from "./notification-sender.ts";

type EmailTarget = Extract<NotifierTarget, { readonly type: "email" }>;

/** The part of nodemailer's errors that says what happened. */
interface MailFault {
  readonly code?: string;
  readonly responseCode?: number;
  readonly response?: string;
  readonly message: string;
}

const RESPONSE_CHARACTERS_MAX = 200;

/** @param timeoutMs the time limit of an attempt, for each of its steps */
export function emailSender(target: EmailTarget, timeoutMs: number): SendMessage {
  return async ({ title, text, data }, signal) => {
    // Loaded for the first mail: it is 0.4 MB of code.
    const { createTransport } = await import("nodemailer");
    const transport = createTransport({
      host: target.host,
      port: target.port,
      secure: target.isTls,
      requireTLS: target.requireTls && !target.isTls,
      ...(await credentials(target)),
      connectionTimeout: timeoutMs,
      greetingTimeout: timeoutMs,
      socketTimeout: timeoutMs,
      dnsTimeout: timeoutMs,
      // A message is its text: nothing in it is a file or a URL to read.
      disableFileAccess: true,
      disableUrlAccess: true,
    });
    const stop = () => transport.close();
    signal.addEventListener("abort", stop);
    try {
      const ended = Promise.withResolvers<never>();
      signal.addEventListener("abort", () => ended.reject(signal.reason), { once: true });
      const sent = transport.sendMail({
        from: target.from,
        to: [...target.to],
        subject: title.replace(/[\r\n]+/g, " "),
        text,
        headers: { "X-Weir-Group": encodeURIComponent(data.groupKey), "Auto-Submitted": "auto-generated" },
      });
      // It rejects also after the attempt has ended.
      sent.catch(() => undefined);
      await Promise.race([sent, ended.promise]);
    } catch (error) {
      if (signal.aborted) throw error;
      throw failureOf(error as MailFault, target);
    } finally {
      signal.removeEventListener("abort", stop);
      transport.close();
    }
  };
}

async function credentials({ username, password, tls }: EmailTarget) {
  try {
    return {
      ...(username === undefined || password === undefined
        ? {}
        : { auth: { user: username, pass: await secretText(password) } }),
      ...(tls === undefined ? {} : { tls: mailTls(await tlsOptions(tls)) }),
    };
  } catch (error) {
    if (error instanceof SecretFault) throw new DeliveryFailure(error.message, { isTemporary: true });
    throw error;
  }
}

function mailTls({
  serverName,
  ...rest
}: {
  readonly serverName?: string;
  readonly rejectUnauthorized: boolean;
}) {
  return serverName === undefined ? rest : { ...rest, servername: serverName };
}

function failureOf(
  { code, responseCode, response, message }: MailFault,
  { host, port }: EmailTarget,
): DeliveryFailure {
  const said = (response ?? message).slice(0, RESPONSE_CHARACTERS_MAX);
  // A server that rejects the credentials or the addresses does so again.
  const isPermanent = (responseCode ?? 0) >= 500 || (code === "EENVELOPE" && responseCode === undefined);
  return new DeliveryFailure(`${host}:${port}: ${said}`, { isTemporary: !isPermanent });
}
