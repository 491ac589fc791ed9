/**
 * Notifications to a program: it gets the body of Alertmanager's webhook on standard input, and exits with 0 when it has
 * taken it. Any other end is tried again. The program gets no variables of the gateway but PATH, and is killed with its
 * children when its time is over.
 */
import type { NotifierTarget } from "../../../model/alerts/notifier.ts";
import { webhookBody } from "../texts/notification-data.ts";
import { DeliveryFailure, type SendMessage } from "./notification-sender.ts";

type ExecTarget = Extract<NotifierTarget, { readonly type: "exec" }>;

/** The beginning of what a program says about a failure. */
const SAID_CHARACTERS_MAX = 200;
const SAID_BYTES_MAX = 65_536;

export function execSender({ command }: ExecTarget): SendMessage {
  return async ({ data }, signal) => {
    const input = new TextEncoder().encode(`${JSON.stringify(webhookBody(data, 0))}\n`);
    const child = start(command, input);
    // A group of its own, so that its children end with it.
    const kill = () => {
      try {
        process.kill(-child.pid, "SIGKILL");
      } catch {
        child.kill("SIGKILL");
      }
    };
    signal.addEventListener("abort", kill);
    try {
      if (signal.aborted) kill();
      const said = readStart(child.stderr);
      const code = await child.exited;
      if (signal.aborted) throw signal.reason;
      if (code === 0) return;
      const [line = ""] = (await said).trim().split("\n");
      const how = child.signalCode === null ? `exited with ${code}` : `was ended by ${child.signalCode}`;
      const words = line === "" ? "" : `: ${line.slice(0, SAID_CHARACTERS_MAX)}`;
      throw new DeliveryFailure(`${command[0]} ${how}${words}`, { isTemporary: true });
    } finally {
      signal.removeEventListener("abort", kill);
    }
  };
}

function start(command: ExecTarget["command"], input: Uint8Array<ArrayBuffer>) {
  try {
    return Bun.spawn([...command], {
      stdin: input,
      stdout: "ignore",
      stderr: "pipe",
      detached: true,
      env: { PATH: process.env.PATH ?? "" },
    });
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    throw new DeliveryFailure(`${command[0]} cannot be started: ${code ?? message}`, { isTemporary: true });
  }
}

/** The beginning of a stream. The rest is read and dropped, so that the program never waits for a reader. */
async function readStart(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of stream) {
    if (text.length < SAID_BYTES_MAX) text += decoder.decode(bytes, { stream: true });
  }
  return text;
}
