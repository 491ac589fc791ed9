/** What each type of notifier sends, to real receivers on loopback, and what their answers mean. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SMTPServer } from "smtp-server";
import type { NotifierTarget } from "../../../../src/model/alerts/notifier.ts";
import {
  DeliveryFailure,
  type Message,
} from "../../../../src/rules/notifications/receivers/notification-sender.ts";
import { openSender } from "../../../../src/rules/notifications/receivers/open-sender.ts";
import { makeCertificate } from "../../../web-config/certificate-maker.ts";
import { temporaryFolder } from "../../../temporary-folder.ts";
import { MINUTE, NOON, notifier } from "../simulated-time.ts";
import { HttpReceiver } from "./http-receiver.ts";

const message: Message = {
  title: "[FIRING:1] Hot",
  text: "gpu-1 is <hot> & loud ☃",
  data: {
    receiver: "n",
    status: "firing",
    alerts: [
      {
        status: "firing",
        labels: { alertname: "Hot", instance: "gpu-1" },
        annotations: { summary: "hot" },
        startsAt: NOON + 250,
        endsAt: undefined,
        generatorURL: "http://127.0.0.1:9091/q",
        fingerprint: "0123456789abcdef",
      },
      {
        status: "resolved",
        labels: { alertname: "Hot", instance: "gpu-2" },
        annotations: {},
        startsAt: NOON,
        endsAt: NOON + MINUTE,
        generatorURL: "",
        fingerprint: "fedcba9876543210",
      },
    ],
    groupLabels: { alertname: "Hot" },
    commonLabels: { alertname: "Hot" },
    commonAnnotations: {},
    externalURL: "http://127.0.0.1:9091",
    groupKey: '{}:{alertname="Hot"}',
  },
};

let receiver: HttpReceiver;
beforeAll(() => {
  receiver = new HttpReceiver();
});
afterEach(() => {
  receiver.received.length = 0;
  receiver.answer = () => new Response("ok");
});
afterAll(() => receiver.stop());

const send = (target: NotifierTarget, timeoutMs = 10_000, signal = new AbortController().signal) =>
  openSender(notifier({ target, timeoutMs }))!(message, signal);

/** The failure of an attempt. */
async function failureOf(sending: Promise<void>): Promise<DeliveryFailure> {
  const error: unknown = await sending.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(DeliveryFailure);
  return error as DeliveryFailure;
}

const url = (path: string) => ({ text: `${receiver.url}${path}` });

describe("a webhook", () => {
  test("gets the body of Alertmanager's format, version 4", async () => {
    await send({ type: "webhook", url: url("/hook?a=1"), maxAlerts: 0 });
    const [{ path, headers, body }] = receiver.received as [(typeof receiver.received)[0]];
    expect(path).toBe("/hook");
    expect(headers.get("content-type")).toBe("application/json");
    expect(headers.get("user-agent")).toMatch(/^weir\//);
    expect(body).toEqual({
      receiver: "n",
      status: "firing",
      alerts: [
        {
          status: "firing",
          labels: { alertname: "Hot", instance: "gpu-1" },
          annotations: { summary: "hot" },
          startsAt: "2024-10-04T12:00:00.25Z",
          endsAt: "0001-01-01T00:00:00Z",
          generatorURL: "http://127.0.0.1:9091/q",
          fingerprint: "0123456789abcdef",
        },
        {
          status: "resolved",
          labels: { alertname: "Hot", instance: "gpu-2" },
          annotations: {},
          startsAt: "2024-10-04T12:00:00Z",
          endsAt: "2024-10-04T12:01:00Z",
          generatorURL: "",
          fingerprint: "fedcba9876543210",
        },
      ],
      groupLabels: { alertname: "Hot" },
      commonLabels: { alertname: "Hot" },
      commonAnnotations: {},
      externalURL: "http://127.0.0.1:9091",
      version: "4",
      groupKey: '{}:{alertname="Hot"}',
      truncatedAlerts: 0,
    });
  });

  test("gets at most max_alerts, and how many are missing", async () => {
    await send({ type: "webhook", url: url("/"), maxAlerts: 1 });
    expect(receiver.received[0]!.body).toMatchObject({ alerts: [{ status: "firing" }], truncatedAlerts: 1 });
  });

  test("gets credentials, from a file that is read at each attempt", async () => {
    const file = join(temporaryFolder(), "password");
    const password = { file };
    const target: NotifierTarget = {
      ...{ type: "webhook", url: url("/"), maxAlerts: 0 },
      authorization: { is: "basic", username: "u", password },
    };
    const missing = await failureOf(send(target));
    expect(missing.isTemporary).toBe(true);
    expect(missing.message).toContain("cannot be read: ENOENT");
    for (const text of ["one", "two"]) {
      writeFileSync(file, `${text}\n`);
      await send(target);
      expect(receiver.received.at(-1)!.headers.get("authorization")).toBe(`Basic ${btoa(`u:${text}`)}`);
    }
  });

  test.each([
    [500, true],
    [503, true],
    [429, true],
    [408, true],
    [400, false],
    [404, false],
    [410, false],
  ])("that answers %p fails, and is tried again: %p", async (status, isTemporary) => {
    receiver.answer = () => new Response("the reason", { status, headers: { "retry-after": "7" } });
    const failure = await failureOf(send({ type: "webhook", url: url("/secret-path"), maxAlerts: 0 }));
    expect(failure).toMatchObject({ isTemporary, retryAfterMs: 7_000 });
    expect(failure.message).toContain(`${receiver.url} answered ${status}`);
    expect(failure.message).toContain('"the reason"');
    expect(failure.message).not.toContain("secret-path");
  });

  test("that redirects fails, and the other address is not asked", async () => {
    receiver.answer = () =>
      new Response(null, { status: 307, headers: { location: `${receiver.url}/other` } });
    const failure = await failureOf(
      send({
        ...{ type: "webhook", url: url("/hook"), maxAlerts: 0 },
        authorization: { is: "header", type: "Bearer", credentials: { text: "hush" } },
      }),
    );
    expect(failure.isTemporary).toBe(false);
    expect(failure.message).toContain("redirects are not followed");
    expect(receiver.received.map(({ path }) => path)).toEqual(["/hook"]);
  });

  test("that does not listen fails for now", async () => {
    const failure = await failureOf(
      send({ type: "webhook", url: { text: "http://127.0.0.1:1/" }, maxAlerts: 0 }),
    );
    expect(failure.isTemporary).toBe(true);
    expect(failure.message).toContain("http://127.0.0.1:1: ");
  });

  test("over https must have a certificate that the CA has issued", async () => {
    const ca = makeCertificate({ name: "hook-ca" });
    const own = makeCertificate({ name: "localhost", issuer: ca });
    const caFile = join(temporaryFolder(), "ca.pem");
    writeFileSync(caFile, ca.cert);
    const server = Bun.serve({
      ...{ hostname: "127.0.0.1", port: 0, tls: { key: own.key, cert: own.cert } },
      fetch: () => new Response("ok"),
    });
    const target: NotifierTarget = {
      ...{ type: "webhook", maxAlerts: 0 },
      url: { text: `https://localhost:${server.port}/` },
    };
    await send({ ...target, tls: { caFile, insecureSkipVerify: false } });
    const failure = await failureOf(send(target));
    expect(failure.isTemporary).toBe(true);
    expect(failure.message).toMatch(/certificate|self.signed/);
    await server.stop(true);
  });

  test("whose answer never ends costs no memory: the status counts", async () => {
    receiver.answer = () =>
      new Response(
        new ReadableStream({
          pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
        }),
      );
    await send({ type: "webhook", url: url("/"), maxAlerts: 0 });
  });
});

describe("a chat of Slack's format", () => {
  test("gets an attachment with title, link and escaped text", async () => {
    await send({ type: "slack", url: url("/services/x"), channel: "#ops", username: "weir" });
    expect(receiver.received[0]!.body).toEqual({
      channel: "#ops",
      username: "weir",
      attachments: [
        {
          color: "#d9534f",
          fallback: "[FIRING:1] Hot",
          title: "[FIRING:1] Hot",
          title_link: "http://127.0.0.1:9091/q",
          text: "gpu-1 is &lt;hot&gt; &amp; loud ☃",
          footer: "weir",
          ts: NOON / 1000,
        },
      ],
    });
  });

  test("that answers ok=false fails, for now if it is busy", async () => {
    receiver.answer = () => Response.json({ ok: false, error: "channel_not_found" });
    expect(await failureOf(send({ type: "slack", url: url("/") }))).toMatchObject({
      isTemporary: false,
      message: "the receiver answered ok=false channel_not_found",
    });
    receiver.answer = () => Response.json({ ok: false, error: "ratelimited" });
    expect(await failureOf(send({ type: "slack", url: url("/") }))).toMatchObject({ isTemporary: true });
  });
});

test("ntfy gets a message for the topic of the URL, with priority, tags and a link", async () => {
  await send({ type: "ntfy", url: url("/base/ops"), tags: ["gpu"] });
  await send({ type: "ntfy", url: url("/ops"), priority: 5, tags: [] });
  expect(receiver.received.map(({ path, body }) => [path, body])).toEqual([
    [
      "/base",
      {
        topic: "ops",
        title: "[FIRING:1] Hot",
        message: "gpu-1 is <hot> & loud ☃",
        priority: 4,
        tags: ["rotating_light", "gpu"],
        click: "http://127.0.0.1:9091/q",
      },
    ],
    ["/", expect.objectContaining({ topic: "ops", priority: 5, tags: ["rotating_light"] })],
  ]);
});

describe("mail", () => {
  interface Mail {
    readonly from: string;
    readonly to: readonly string[];
    readonly text: string;
    readonly user: string | undefined;
  }
  const mails: Mail[] = [];
  let server: SMTPServer;
  let port: number;
  let rejectTo: { responseCode: number } | undefined;

  beforeAll(async () => {
    server = new SMTPServer({
      authOptional: true,
      allowInsecureAuth: true,
      disabledCommands: ["STARTTLS"],
      disableReverseLookup: true,
      onAuth: ({ username, password }, _, done) =>
        password === "right" ? done(null, { user: username }) : done(new Error("no")),
      onRcptTo: (_, __, done) =>
        done(rejectTo === undefined ? undefined : Object.assign(new Error("rejected"), rejectTo)),
      onData(stream, session, done) {
        const parts: Buffer[] = [];
        stream.on("data", (part: Buffer) => parts.push(part));
        stream.on("end", () => {
          const { mailFrom, rcptTo } = session.envelope;
          mails.push({
            from: mailFrom === false ? "" : mailFrom.address,
            to: rcptTo.map(({ address }) => address),
            text: Buffer.concat(parts).toString(),
            user: session.user as string | undefined,
          });
          done();
        });
      },
    });
    server.on("error", () => undefined);
    const { promise, resolve } = Promise.withResolvers<void>();
    server.listen(0, "127.0.0.1", resolve);
    await promise;
    port = (server.server.address() as { port: number }).port;
  });
  afterEach(() => {
    rejectTo = undefined;
    mails.length = 0;
  });
  afterAll(() => new Promise<void>((resolve) => server.close(resolve)));

  const target = (): Extract<NotifierTarget, { type: "email" }> => ({
    type: "email",
    host: "127.0.0.1",
    port,
    isTls: false,
    requireTls: false,
    from: "Weir <weir@example.org>",
    to: ["ops@example.org", "db@example.org"],
  });

  test("has the title as its subject and the text as its body", async () => {
    await send({ ...target(), username: "weir", password: { text: "right" } });
    expect(mails).toHaveLength(1);
    const [{ from, to, text, user }] = mails as [Mail];
    expect({ from, to, user }).toEqual({
      from: "weir@example.org",
      to: ["ops@example.org", "db@example.org"],
      user: "weir",
    });
    expect(text).toContain("Subject: [FIRING:1] Hot\r\n");
    expect(text).toContain("From: Weir <weir@example.org>\r\n");
    expect(text).toContain("Auto-Submitted: auto-generated\r\n");
    expect(text).toMatch(/gpu-1 is <hot> & loud (=E2=98=83|☃)/);
  });

  test("is tried again after a temporary rejection (4xx), and not after a permanent one (5xx)", async () => {
    rejectTo = { responseCode: 451 };
    expect(await failureOf(send(target()))).toMatchObject({ isTemporary: true });
    rejectTo = { responseCode: 550 };
    const failure = await failureOf(send(target()));
    expect(failure.isTemporary).toBe(false);
    expect(failure.message).toContain(`127.0.0.1:${port}: `);
  });

  test("is not sent with a wrong password, whose text is in no message", async () => {
    const failure = await failureOf(send({ ...target(), username: "weir", password: { text: "hush-77" } }));
    expect(failure.isTemporary).toBe(false);
    expect(failure.message).not.toContain("hush-77");
    expect(mails).toEqual([]);
  });

  test("is not sent without TLS if TLS is required", async () => {
    const failure = await failureOf(send({ ...target(), requireTls: true }));
    expect(failure.message).toContain("command not recognized");
    expect(mails).toEqual([]);
  });

  test.each(["smtps", "STARTTLS"])(
    "over %s is sent to a server whose certificate the CA has issued",
    async (how) => {
      const ca = makeCertificate({ name: "mail-ca" });
      const own = makeCertificate({ name: "localhost", issuer: ca });
      const caFile = join(temporaryFolder(), "ca.pem");
      writeFileSync(caFile, ca.cert);
      const took: string[] = [];
      const tls = new SMTPServer({
        ...{
          secure: how === "smtps",
          key: own.key,
          cert: own.cert,
          authOptional: true,
          disableReverseLookup: true,
        },
        onData(stream, { secure }, done) {
          stream.resume();
          stream.on("end", () => {
            took.push(secure ? "encrypted" : "plain");
            done();
          });
        },
      });
      tls.on("error", () => undefined);
      await new Promise<void>((resolve) => tls.listen(0, "127.0.0.1", resolve));
      const { port: tlsPort } = tls.server.address() as { port: number };
      const secured = { ...target(), port: tlsPort, isTls: how === "smtps", requireTls: true };
      await send({ ...secured, tls: { caFile, serverName: "localhost", insecureSkipVerify: false } });
      expect(took).toEqual(["encrypted"]);
      expect((await failureOf(send(secured))).message).toMatch(/certificate|self.signed/);
      expect(took).toEqual(["encrypted"]);
      await new Promise<void>((resolve) => tls.close(resolve));
    },
  );

  test("to a server that is away is tried again", async () => {
    expect(await failureOf(send({ ...target(), port: 1 }))).toMatchObject({ isTemporary: true });
  });
});

describe("a program", () => {
  function program(text: string): { target: NotifierTarget; folder: string } {
    const folder = temporaryFolder();
    const path = join(folder, "on-alert");
    writeFileSync(path, `#!/bin/sh\ncd ${folder}\n${text}\n`);
    chmodSync(path, 0o700);
    return { target: { type: "exec", command: [path, "--flag"] }, folder };
  }

  test("gets the JSON on standard input, its arguments, and no variables of the gateway but PATH", async () => {
    const { target, folder } = program('cat > input; echo "$@" > arguments; env > variables');
    await send(target);
    expect(JSON.parse(readFileSync(join(folder, "input"), "utf8"))).toMatchObject({
      version: "4",
      status: "firing",
      groupKey: '{}:{alertname="Hot"}',
    });
    expect(readFileSync(join(folder, "arguments"), "utf8")).toBe("--flag\n");
    const names = readFileSync(join(folder, "variables"), "utf8").match(/^\w+(?==)/gm)!;
    expect(names.filter((name) => !["PATH", "PWD", "OLDPWD", "SHLVL", "_"].includes(name))).toEqual([]);
  });

  test("that exits with another code is tried again, and its first line is the reason", async () => {
    const { target } = program("echo 'no such room' >&2; echo more >&2; exit 3");
    const failure = await failureOf(send(target));
    expect(failure.isTemporary).toBe(true);
    expect(failure.message).toEndWith("/on-alert exited with 3: no such room");
  });

  test("that takes too long is killed, with its children", async () => {
    const { target, folder } = program("(sleep 600; touch late) & echo $! > child; : > started; wait");
    const stop = new AbortController();
    const sending = send(target, 10_000, stop.signal);
    while (!existsSync(join(folder, "started"))) await Bun.sleep(5);
    const child = Number(readFileSync(join(folder, "child"), "utf8"));
    stop.abort(new Error("its time is over"));
    await expect(sending).rejects.toThrow("its time is over");
    const isRunning = () => {
      try {
        // A zombie has no command line.
        return readFileSync(`/proc/${child}/cmdline`, "utf8") !== "";
      } catch {
        return false;
      }
    };
    while (isRunning()) await Bun.sleep(5);
  });

  test("that does not exist fails for now", async () => {
    const failure = await failureOf(send({ type: "exec", command: ["/nonexistent/program"] }));
    expect(failure.isTemporary).toBe(true);
    expect(failure.message).toContain("/nonexistent/program cannot be started: ENOENT");
  });
});
