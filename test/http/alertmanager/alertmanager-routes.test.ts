/** Alertmanager's API v2: alerts and silences through the routes, the selections, and what is an error. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { DAY_MS, NOON_MS, openTestGateway, type TestGateway } from "../../gateway.ts";

const MINUTE = 60_000;
const iso = (ms: number) => new Date(ms).toISOString();

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await openTestGateway();
});
afterAll(() => gateway.close());

async function ask(method: string, path: string, body?: unknown): Promise<{ status: number; json: unknown }> {
  const text = body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body);
  const answer = await gateway.fetch(path, { method, body: text });
  const said = await answer.text();
  return { status: answer.status, json: said === "" ? undefined : JSON.parse(said) };
}

const matcher = (name: string, value: string, more = {}) => ({ name, value, isRegex: false, ...more });
const silence = (more = {}) => ({
  matchers: [matcher("instance", "w1")],
  startsAt: iso(NOON_MS),
  endsAt: iso(NOON_MS + 60 * MINUTE),
  createdBy: "me",
  comment: "because",
  ...more,
});

/** The labels `instance` of the alerts that a query selects. */
async function instances(query = ""): Promise<string[]> {
  const { json } = await ask("GET", `/api/v2/alerts${query}`);
  return (json as { labels: { instance: string } }[]).map(({ labels }) => labels.instance).sort();
}

test("alerts that are posted are listed as Alertmanager lists them, with its fingerprints", async () => {
  const posted = await ask("POST", "/api/v2/alerts", [
    {
      labels: { alertname: "Hot", instance: "w1", empty: "" },
      annotations: { summary: "hot" },
      startsAt: "2024-10-04T11:59:00.5Z",
      endsAt: "2024-10-04T14:10:00+02:00",
      generatorURL: "http://127.0.0.1/q",
    },
    { labels: { alertname: "Hot", instance: "w2" }, startsAt: "0001-01-01T00:00:00Z" },
  ]);
  expect(posted).toEqual({ status: 200, json: undefined });
  const { json } = await ask("GET", "/api/v2/alerts");
  expect(json).toEqual([
    {
      annotations: {},
      endsAt: "2024-10-04T12:05:00.000Z",
      fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/),
      receivers: [],
      startsAt: "2024-10-04T12:00:00.000Z",
      status: { inhibitedBy: [], silencedBy: [], mutedBy: [], state: "active" },
      updatedAt: "2024-10-04T12:00:00.000Z",
      generatorURL: "",
      labels: { alertname: "Hot", instance: "w2" },
    },
    expect.objectContaining({
      annotations: { summary: "hot" },
      startsAt: "2024-10-04T11:59:00.500Z",
      endsAt: "2024-10-04T12:10:00.000Z",
      labels: { alertname: "Hot", instance: "w1" },
      generatorURL: "http://127.0.0.1/q",
    }),
  ]);
});

test("a silence is added, mutes, is listed, and ends", async () => {
  const added = await ask("POST", "/api/v2/silences", silence());
  expect(added.status).toBe(200);
  const { silenceID } = added.json as { silenceID: string };
  expect(await instances("?silenced=false")).toEqual(["w2"]);
  expect(await instances("?active=false")).toEqual(["w1"]);
  expect((await ask("GET", `/api/v2/silence/${silenceID}`)).json).toEqual({
    id: silenceID,
    status: { state: "active" },
    updatedAt: iso(NOON_MS),
    comment: "because",
    createdBy: "me",
    startsAt: iso(NOON_MS),
    endsAt: iso(NOON_MS + 60 * MINUTE),
    matchers: [{ name: "instance", value: "w1", isRegex: false, isEqual: true }],
  });
  expect(await ask("DELETE", `/api/v2/silence/${silenceID}`)).toEqual({ status: 200, json: undefined });
  expect((await ask("GET", `/api/v2/silence/${silenceID}`)).json).toMatchObject({
    status: { state: "expired" },
    endsAt: iso(NOON_MS),
  });
  expect(await ask("DELETE", `/api/v2/silence/${silenceID}`)).toEqual({
    status: 409,
    json: `The silence "${silenceID}" has expired already.`,
  });
  expect(await instances("?silenced=false")).toEqual(["w1", "w2"]);
});

test("silences are listed by state and end, and filtered by their matchers", async () => {
  const add = async (comment: string, from: number, to: number, value = "x") =>
    await ask(
      "POST",
      "/api/v2/silences",
      silence({
        comment,
        matchers: [matcher("host", value)],
        startsAt: iso(NOON_MS + from * MINUTE),
        endsAt: iso(NOON_MS + to * MINUTE),
      }),
    );
  await add("pending", 10, 20);
  await add("late", 0, 50, "y");
  await add("soon", 0, 40);
  const comments = async (query: string) =>
    ((await ask("GET", `/api/v2/silences${query}`)).json as { comment: string }[]).map(
      ({ comment }) => comment,
    );
  expect(await comments("?filter=host=~%22x|y%22")).toEqual(["soon", "late", "pending"]);
  expect(await comments("?filter=host=y")).toEqual(["late"]);
  expect(await comments("?filter=host!=y&filter=host!=%22%22")).toEqual(["soon", "pending"]);
});

test("alerts, silences and their ends are as they were after a start", async () => {
  const before = await ask("GET", "/api/v2/silences");
  await gateway.reopen();
  expect(await ask("GET", "/api/v2/silences")).toEqual(before);
  expect(await instances()).toEqual(["w1", "w2"]);
  expect(await instances("?filter=instance%3D~%22w[23]%22")).toEqual(["w2"]);
});

describe("an error is a JSON text, and changes nothing:", () => {
  const cases: [method: string, path: string, body: unknown, status: number, message: string][] = [
    ["POST", "/api/v2/alerts", "{", 400, "The body is not JSON: "],
    ["POST", "/api/v2/alerts", {}, 400, "The body is {}, expected a list of alerts."],
    ["POST", "/api/v2/alerts", [{}], 400, "labels of alert 0 is empty, expected a label."],
    ["POST", "/api/v2/alerts", [{ labels: { a: 1 } }], 400, '"a" of labels of alert 0 is 1, expected a text'],
    ["POST", "/api/v2/alerts", [{ labels: { "a b": "1" } }], 400, 'labels of alert 0 has the name "a b"'],
    [
      "POST",
      "/api/v2/alerts",
      [{ labels: { a: "1" }, startsAt: "noon" }],
      400,
      'startsAt of alert 0 is "noon"',
    ],
    [
      ...(["POST", "/api/v2/alerts"] as const),
      [{ labels: { a: "1" }, startsAt: iso(NOON_MS), endsAt: iso(NOON_MS - 1) }],
      ...([400, "endsAt of alert 0 is before startsAt"] as const),
    ],
    ["POST", "/api/v2/silences", {}, 400, "matchers is missing, expected a list."],
    ["POST", "/api/v2/silences", silence({ matchers: [] }), 400, "matchers is empty"],
    [
      "POST",
      "/api/v2/silences",
      silence({ matchers: [matcher("a", "(", { isRegex: true })] }),
      400,
      "matchers[0]: ",
    ],
    [
      "POST",
      "/api/v2/silences",
      silence({ matchers: [matcher("a", ".*", { isRegex: true })] }),
      400,
      "match every alert",
    ],
    [
      "POST",
      "/api/v2/silences",
      silence({ endsAt: iso(NOON_MS - DAY_MS) }),
      400,
      "expected a time after startsAt",
    ],
    ["POST", "/api/v2/silences", silence({ comment: undefined }), 400, "comment is missing"],
    ["POST", "/api/v2/silences", silence({ id: "nope" }), 404, 'There is no silence "nope".'],
    ["GET", "/api/v2/silence/nope", undefined, 404, 'There is no silence "nope".'],
    ["DELETE", "/api/v2/silence/nope", undefined, 404, 'There is no silence "nope".'],
    ["GET", "/api/v2/alerts?filter=a", undefined, 400, 'Query parameter filter: "a" is not a matcher'],
    ["GET", "/api/v2/alerts?receiver=(", undefined, 400, "expected a regular expression"],
    ["GET", "/api/v2/alerts?active=maybe", undefined, 400, 'active is "maybe"; expected true or false'],
  ];
  test.each(cases)("%s %s with %j is %p", async (method, path, body, status, message) => {
    const answer = await ask(method, path, body);
    expect(answer.status).toBe(status);
    expect(answer.json).toContain(message);
    expect(await instances()).toEqual(["w1", "w2"]);
  });
});

test("valid alerts are taken although others of the request are not", async () => {
  const answer = await ask("POST", "/api/v2/alerts", [{ labels: { instance: "w3" } }, { labels: {} }, "x"]);
  expect(answer).toEqual({
    status: 400,
    json: 'labels of alert 1 is empty, expected a label. alert 2 is "x", expected an object.',
  });
  expect(await instances("?filter=instance=w3")).toEqual(["w3"]);
  // Its time is over after five minutes.
  gateway.nowMs += 5 * MINUTE;
  expect(await instances("?filter=instance=w3")).toEqual([]);
});
