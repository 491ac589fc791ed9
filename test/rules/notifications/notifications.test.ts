/** Notifications with real timers and real receivers on loopback: failures, hangs, stops, and the store. */
import { afterEach, describe, expect, test } from "bun:test";
import { Registry } from "prom-client";
import { createLog } from "../../../src/log/log.ts";
import { parseAlertMatchers } from "../../../src/model/alerts/alert-matcher.ts";
import type { Notifier } from "../../../src/model/alerts/notifier.ts";
import type { NotificationRecord } from "../../../src/model/records.ts";
import { Notifications } from "../../../src/rules/notifications/notifications.ts";
import { NotificationTemplates } from "../../../src/rules/notifications/texts/notification-templates.ts";
import { until } from "../../until.ts";
import { HttpReceiver } from "./receivers/http-receiver.ts";
import { labelsOf, MINUTE, notifier } from "./simulated-time.ts";

const open: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.stop()));
});

function startReceiver(): HttpReceiver {
  const receiver = new HttpReceiver();
  open.push(receiver);
  return receiver;
}

const webhook = (name: string, receiver: HttpReceiver, settings: Partial<Notifier> = {}): Notifier =>
  notifier({
    ...{ name, groupWaitMs: 0, groupIntervalMs: 1_000, timeoutMs: 200 },
    target: { type: "webhook", url: { text: `${receiver.url}/${name}` }, maxAlerts: 0 },
    ...settings,
  });

/** A store in memory, which can fail. */
class MemoryStore {
  readonly records = new Map<string, string>();
  isFull = false;

  async commit({ notifications }: { readonly notifications: readonly NotificationRecord[] }): Promise<void> {
    if (this.isFull) throw new Error("disk full");
    for (const { key, definition } of notifications) {
      if (definition === null) this.records.delete(key);
      else this.records.set(key, definition);
    }
  }

  get stored(): readonly NotificationRecord[] {
    return Array.from(this.records, ([key, definition]) => ({ key, definition }));
  }
}

/** Whether the store knows that a notifier got the group of Hot. */
const isSent = ({ records }: MemoryStore, name: string) =>
  /"sentAtMs":[1-9]/.test(records.get(`sent/${name}/{}/{}:{alertname="Hot"}`) ?? "");

function start(notifiers: readonly Notifier[], store = new MemoryStore()) {
  const registry = new Registry();
  const logged: Record<string, unknown>[] = [];
  const log = createLog("info", (line) => logged.push(JSON.parse(line) as Record<string, unknown>), {
    format: "json",
  });
  const notifications = new Notifications({
    ...{ notifiers, inhibitRules: [], store, registry, log },
    templates: new NotificationTemplates(notifiers),
    stored: store.stored,
    now: Date.now,
    externalURL: "",
  });
  notifications.start();
  open.unshift(notifications);
  const events = () => logged.map(({ event }) => event);
  const count = async (name: string, labels: string) => {
    const text = await registry.getSingleMetricAsString(name);
    return Number(
      text
        .split("\n")
        .find((line) => line.startsWith(`${name}{${labels}}`))
        ?.split(" ")
        .at(-1),
    );
  };
  return { notifications, store, logged, events, count };
}

const firing = (text: string) => ({
  labels: labelsOf(text),
  annotations: {},
  startsAt: Date.now(),
  endsAt: Date.now() + 4 * MINUTE,
  generatorURL: "",
});
const resolved = (text: string, startsAt: number) => ({ ...firing(text), startsAt, endsAt: Date.now() });

/** The status and the instances of a webhook. */
const shown = ({ body }: { readonly body: unknown }) => {
  const { status, alerts } = body as { status: string; alerts: { labels: Record<string, string> }[] };
  return [status, ...alerts.map(({ labels }) => labels.instance)];
};

describe("a receiver that", () => {
  test("fails gets the same notification again, and nothing is logged if it comes back in time", async () => {
    const receiver = startReceiver();
    receiver.answer = () => new Response("", { status: receiver.received.length < 3 ? 503 : 200 });
    const { notifications, events, count } = start([webhook("n", receiver)]);
    await notifications.receive([firing("Hot instance=a")]);
    await receiver.until(3);
    await until(
      "it is counted",
      async () => (await count("weir_notifications_sent_total", 'notifier="n"')) === 1,
    );
    expect(receiver.received.map(shown)).toEqual([
      ["firing", "a"],
      ["firing", "a"],
      ["firing", "a"],
    ]);
    expect(await count("weir_notifications_attempts_failed_total", 'notifier="n"')).toBe(2);
    expect(await count("weir_notifications_failed_total", 'notifier="n"')).toBe(0);
    expect(events()).toEqual([]);
  });

  test("hangs delays no other, and gets its notification when it answers", async () => {
    const [hanging, healthy] = [startReceiver(), startReceiver()];
    let isHanging = true;
    const never = new Promise<Response>(() => undefined);
    hanging.answer = () => (isHanging ? never : new Response("ok"));
    const { notifications, store } = start([webhook("a", hanging), webhook("b", healthy)]);
    await notifications.receive([firing("Hot instance=a")]);
    await hanging.until(1);
    await healthy.until(1);
    await notifications.receive([firing("Cold instance=b")]);
    await healthy.until(2);
    isHanging = false;
    await until("it is delivered", () => isSent(store, "a"));
    expect(healthy.received.map(shown)).toEqual([
      ["firing", "a"],
      ["firing", "b"],
    ]);
  });

  test("rejects a notification is not asked again before the next group_interval, and is logged once", async () => {
    const receiver = startReceiver();
    receiver.answer = () =>
      new Response("no such room", { status: receiver.received.length < 3 ? 404 : 200 });
    const { notifications, logged, events, count } = start([webhook("n", receiver)]);
    await notifications.receive([firing("Hot instance=a")]);
    await receiver.until(3);
    await until("it is delivered", () => events().length === 2);
    expect(events()).toEqual(["notification_failed", "notification_delivered_again"]);
    expect(logged[0]).toMatchObject({
      level: "error",
      notifier: "n",
      group: '{}/{}:{alertname="Hot"}',
      error: `${receiver.url} answered 404 Not Found: "no such room"`,
    });
    expect(await count("weir_notifications_failed_total", 'notifier="n"')).toBe(2);
    expect(await count("weir_notifications_sent_total", 'notifier="n"')).toBe(1);
  });
});

test("a stop ends deliveries, and the next start sends what was not delivered", async () => {
  const receiver = startReceiver();
  receiver.answer = () => new Promise<Response>(() => undefined);
  const notifiers = [webhook("n", receiver, { timeoutMs: 60_000 })];
  const first = start(notifiers);
  await first.notifications.receive([firing("Hot instance=a")]);
  await receiver.until(1);
  await first.notifications.stop();
  expect(first.events()).toEqual([]);
  receiver.answer = () => new Response("ok");
  const second = start(notifiers, first.store);
  await receiver.until(2);
  await until("it is stored", () => isSent(first.store, "n"));
  await second.notifications.stop();
  // A third start sends nothing again.
  start(notifiers, first.store);
  await Bun.sleep(0);
  expect(receiver.received.map(shown)).toEqual([
    ["firing", "a"],
    ["firing", "a"],
  ]);
});

test("a full disk stops no notification, is logged once, and what was not stored is stored later", async () => {
  const receiver = startReceiver();
  const { notifications, store, events } = start([webhook("n", receiver)]);
  store.isFull = true;
  await expect(notifications.receive([firing("Hot instance=a")])).rejects.toThrow("disk full");
  await expect(notifications.receive([firing("Hot instance=b")])).rejects.toThrow("disk full");
  await receiver.until(1);
  expect(store.records.size).toBe(0);
  store.isFull = false;
  await notifications.receive([firing("Cold instance=c")]);
  expect([...store.records.keys()].filter((key) => key.startsWith("alert/"))).toHaveLength(3);
  expect(events()).toEqual(["notifications_not_stored"]);
});

test("a record that cannot be read is reported, and the others are restored", async () => {
  const receiver = startReceiver();
  const { notifications, store } = start([webhook("n", receiver, { groupWaitMs: 600_000 })]);
  await notifications.receive([firing("Hot instance=a")]);
  await notifications.stop();
  store.records.set("alert/x", "{");
  store.records.set("silence/y", '{"id":"y"}');
  const again = start([webhook("n", receiver)], store);
  await receiver.until(1);
  expect(again.logged.map(({ event, key }) => [event, key])).toEqual([
    ["notification_record_unreadable", "alert/x"],
    ["notification_record_unreadable", "silence/y"],
  ]);
});

test("an Alertmanager that was away gets the newest state of each alert, and each state once", async () => {
  const receiver = startReceiver();
  receiver.answer = () => new Response("", { status: receiver.received.length < 2 ? 503 : 200 });
  const target = { type: "alertmanager", url: { text: `${receiver.url}/am/` } } as const;
  const am = notifier({
    name: "am",
    target,
    matchers: parseAlertMatchers("instance=~a|b"),
    timeoutMs: 1_000,
  });
  const { notifications, count } = start([am]);
  const hot = firing("Hot instance=a");
  await notifications.receive([hot, firing("Hot instance=c")]);
  await receiver.until(1);
  await notifications.receive([resolved("Hot instance=a", hot.startsAt), firing("Hot instance=b")]);
  await until(
    "they are sent",
    async () => (await count("weir_notifications_sent_total", 'notifier="am"')) === 1,
  );
  await notifications.receive([firing("Hot instance=b")]);
  await receiver.until(3);
  expect(receiver.received.map(({ path }) => path)).toEqual(Array(3).fill("/am/api/v2/alerts"));
  const sent = receiver.received.map(({ body }) =>
    (body as { labels: Record<string, string>; endsAt: string }[]).map(
      ({ labels, endsAt }) => `${labels.instance}${Date.parse(endsAt) > Date.now() ? "" : " resolved"}`,
    ),
  );
  expect(sent).toEqual([["a"], ["a resolved", "b"], ["b"]]);
});
