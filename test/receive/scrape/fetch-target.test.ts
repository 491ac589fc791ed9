/** The HTTP request of a scrape: its headers, its limits and its errors, against a real server. */
import { afterAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { readScrapeJobs } from "../../../src/config/scrape-jobs.ts";
import { fetchTarget } from "../../../src/receive/scrape/fetch-target.ts";
import type { ScrapeFailure } from "../../../src/receive/scrape/scrape-failure.ts";
import { targetsOf } from "../../../src/receive/scrape/scrape-target.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { makeCertificate } from "../../web-config/certificate-maker.ts";
import { type Page, servePages } from "./target-cases.ts";

let answer: (request: Request) => Page | Response | Promise<Page | Response> = () => ({ body: "a 1\n" });
/** The last request, whose headers do not outlive it. */
let last = { method: "", url: "", headers: new Headers() };
const pages = servePages((request) => {
  last = { method: request.method, url: request.url, headers: new Headers(request.headers) };
  return answer(request);
});
afterAll(() => pages.stop());

const ok: typeof answer = () => ({ body: "a 1\n" });
const folder = temporaryFolder();
const secretFile = join(folder, "secret");
writeFileSync(secretFile, "from-file\n");

function scrape(
  settings: Record<string, unknown> = {},
  address = pages.address,
  stop = new AbortController().signal,
) {
  const [target] = targetsOf(readScrapeJobs([{ job_name: "j", targets: [address], ...settings }], "scrape"));
  return fetchTarget(target!, stop);
}

async function failure(settings: Record<string, unknown> = {}, address?: string): Promise<[string, string]> {
  try {
    await scrape(settings, address);
  } catch (error) {
    return [(error as ScrapeFailure).cause, (error as Error).message.replaceAll(pages.address, "HOST")];
  }
  return ["", ""];
}

describe("a request", () => {
  test("has the path, the parameters and the headers that Prometheus sends", async () => {
    answer = ok;
    const body = await scrape({
      metrics_path: "/federate",
      params: { "match[]": ['{job="a b"}', "up"] },
      scrape_timeout: "2500ms",
    });
    expect(Buffer.from(body.bytes).toString()).toBe("a 1\n");
    expect(body.contentType).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(last.method).toBe("GET");
    const url = new URL(last.url);
    expect([url.pathname, url.searchParams.getAll("match[]")]).toEqual(["/federate", ['{job="a b"}', "up"]]);
    expect(Object.fromEntries(last.headers)).toMatchObject({
      accept:
        "application/openmetrics-text;version=1.0.0;q=0.4,application/openmetrics-text;version=0.0.1;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
      "accept-encoding": "gzip",
      "user-agent": expect.stringMatching(/^weir\/\d/),
      "x-prometheus-scrape-timeout-seconds": "2.5",
    });
    expect(last.headers.has("authorization")).toBe(false);
  });

  test("asks for the formats of scrape_protocols in their order, and for no compression if it is off", async () => {
    answer = ok;
    await scrape({ scrape_protocols: ["PrometheusProto", "PrometheusText0.0.4"], enable_compression: false });
    expect(last.headers.get("accept")).toBe(
      "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
    );
    expect(last.headers.get("accept-encoding")).toBe("identity");
  });

  const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;
  test.each([
    [{ basic_auth: { username: "me", password: "p:w" } }, basic("me:p:w")],
    [{ basic_auth: { username: "me", password_file: secretFile } }, basic("me:from-file")],
    [{ basic_auth: { username: "me" } }, basic("me:")],
    [{ bearer_token: "t" }, "Bearer t"],
    [{ bearer_token_file: secretFile }, "Bearer from-file"],
    [{ authorization: { credentials: "t" } }, "Bearer t"],
    [{ authorization: { type: "Token", credentials_file: secretFile } }, "Token from-file"],
  ])("with %p is authorised", async (settings, header) => {
    answer = ok;
    await scrape(settings);
    expect(last.headers.get("authorization")).toBe(header);
  });

  test("reads the file of a secret each time", async () => {
    answer = ok;
    const file = join(folder, "changing");
    for (const token of ["one", "two"]) {
      writeFileSync(file, token);
      await scrape({ bearer_token_file: file });
      expect(last.headers.get("authorization")).toBe(`Bearer ${token}`);
    }
  });

  test("reads a compressed body", async () => {
    answer = () => ({ body: Bun.gzipSync("b 2\n"), headers: { "content-encoding": "gzip" } });
    expect(Buffer.from((await scrape()).bytes).toString()).toBe("b 2\n");
  });

  test("sends no password to another origin that it is redirected to", async () => {
    const other = servePages((request) => {
      last = { method: request.method, url: request.url, headers: new Headers(request.headers) };
      return { body: "d 4\n" };
    });
    try {
      answer = () => Response.redirect(`http://${other.address}/metrics`, 302);
      const body = await scrape({ basic_auth: { username: "me", password: "hush" } });
      expect(Buffer.from(body.bytes).toString()).toBe("d 4\n");
      expect(last.headers.get("authorization")).toBeNull();
    } finally {
      await other.stop();
    }
  });

  test("follows a redirect, unless follow_redirects is off", async () => {
    answer = (request) =>
      new URL(request.url).pathname === "/metrics" ? Response.redirect("/other", 302) : { body: "c 3\n" };
    expect(Buffer.from((await scrape()).bytes).toString()).toBe("c 3\n");
    expect(await failure({ follow_redirects: false })).toEqual([
      "status",
      "the target answered HTTP status 302 Found, expected 200",
    ]);
  });
});

describe("a request fails", () => {
  test.each([
    [500, "the target answered HTTP status 500 Internal Server Error, expected 200"],
    [401, "the target answered HTTP status 401 Unauthorized, expected 200"],
    [204, "the target answered HTTP status 204 No Content, expected 200"],
  ])("with status %p", async (status, message) => {
    answer = () => new Response(null, { status });
    expect(await failure()).toEqual(["status", message]);
  });

  test("if nothing listens, without the password in the error", async () => {
    const [cause, message] = await failure(
      { basic_auth: { username: "me", password: "hush" }, params: { token: "hush" } },
      "127.0.0.1:1",
    );
    expect([cause, message]).toEqual([
      "connection",
      "GET http://127.0.0.1:1/metrics?token=…: connection refused",
    ]);
  });

  test("if the target does not speak TLS", async () => {
    answer = ok;
    const [cause, message] = await failure({ scheme: "https" });
    expect(cause).toBe("connection");
    expect(message).toStartWith("GET https://HOST/metrics: ");
  });

  test("if a file of a secret is missing, or has a line feed within", async () => {
    const [cause, message] = await failure({ bearer_token_file: join(folder, "absent") });
    expect([cause, message]).toEqual([
      "secret",
      `the file ${JSON.stringify(join(folder, "absent"))} cannot be read: ENOENT`,
    ]);
    const file = join(folder, "two-lines");
    writeFileSync(file, "one\ntwo");
    expect(await failure({ bearer_token_file: file })).toEqual([
      "secret",
      "the password or the credentials contain a control character",
    ]);
  });

  const limited = { body_size_limit: 1_000 };
  test.each([
    ["a body that is too long", () => ({ body: "a".repeat(1_001) })],
    [
      "a compressed body that inflates to more",
      () => ({ body: Bun.gzipSync("a".repeat(1_001)), headers: { "content-encoding": "gzip" } }),
    ],
    [
      "a body without an end",
      () =>
        new Response(new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(500)) })),
    ],
  ] as [string, () => Page | Response][])("with %s", async (_, page) => {
    answer = page;
    expect(await failure(limited)).toEqual([
      "body_size_limit",
      "body_size_limit exceeded: the body has more than 1000 bytes",
    ]);
  });

  test("not with a body of the limit's length", async () => {
    answer = () => ({ body: "a".repeat(1_000) });
    expect((await scrape(limited)).bytes).toHaveLength(1_000);
  });

  test("with a compressed body that is cut, or with an encoding that was not asked for", async () => {
    answer = () => ({ body: Bun.gzipSync("a 1\n").slice(0, -4), headers: { "content-encoding": "gzip" } });
    const [cause, message] = await failure();
    expect(cause).toBe("connection");
    expect(message).toStartWith("GET http://HOST/metrics: The body is not complete gzip data");
    answer = () => ({ body: "a 1\n", headers: { "content-encoding": "lzw" } });
    expect((await failure())[1]).toStartWith(
      'GET http://HOST/metrics: Content-Encoding "lzw" is not supported',
    );
  });

  test.each([
    ["the headers", () => Promise.withResolvers<Page>().promise],
    [
      "the body",
      () =>
        new Response(new ReadableStream({ start: (controller) => controller.enqueue(Buffer.from("a 1\n")) })),
    ],
  ] as [string, () => Promise<Page> | Response][])("if %s take longer than the timeout", async (_, page) => {
    answer = page;
    expect(await failure({ scrape_interval: "100ms" })).toEqual([
      "timeout",
      "the target did not answer within 100 ms (scrape_timeout)",
    ]);
  });

  test("if it is stopped", async () => {
    const arrived = Promise.withResolvers<void>();
    answer = () => {
      arrived.resolve();
      return Promise.withResolvers<Page>().promise;
    };
    const stop = new AbortController();
    const scraping = scrape({}, pages.address, stop.signal);
    const ended = scraping.catch((error: Error) => error.message);
    await arrived.promise;
    stop.abort();
    expect(await ended).toStartWith("GET http://");
  });
});

describe("a target with TLS", () => {
  const ca = makeCertificate({ name: "ca" });
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const trusted = file("ca.pem", ca.cert);
  const other = file("other.pem", makeCertificate().cert);
  const client = makeCertificate({ name: "client", issuer: ca });
  const [certFile, keyFile] = [file("client.crt", client.cert), file("client.key", client.key)];
  const serve = (sans: string[], requestCert: boolean) => {
    const { cert, key } = makeCertificate({ name: "target", issuer: ca, sans });
    return Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      tls: { cert, key, requestCert, ca: ca.cert },
      fetch: () => new Response("a 1\n", { headers: { "content-type": "text/plain; version=0.0.4" } }),
    });
  };
  const [plain, named, mutual] = [
    serve(["IP:127.0.0.1"], false),
    serve(["DNS:target.example"], false),
    serve(["IP:127.0.0.1"], true),
  ];
  afterAll(() => Promise.all([plain, named, mutual].map((server) => server.stop(true))));

  /** `a 1`, or the cause of the failure. */
  const outcome = async (server: typeof plain, tls: Record<string, unknown> | undefined) => {
    const settings = { scheme: "https", ...(tls === undefined ? {} : { tls_config: tls }) };
    try {
      return Buffer.from((await scrape(settings, `127.0.0.1:${server.port}`)).bytes)
        .toString()
        .trim();
    } catch (error) {
      return (error as ScrapeFailure).cause;
    }
  };

  // The unsafe one first: its connection must not serve the others.
  test.each([
    ["without a check", plain, { insecure_skip_verify: true }, "a 1"],
    ["with its CA", plain, { ca_file: trusted }, "a 1"],
    ["with another CA", plain, { ca_file: other }, "connection"],
    ["with the CAs of the system", plain, undefined, "connection"],
    ["whose certificate has another name", named, { ca_file: trusted }, "connection"],
    [
      "whose certificate has the expected name",
      named,
      { ca_file: trusted, server_name: "target.example" },
      "a 1",
    ],
    ["that wants a client certificate", mutual, { ca_file: trusted }, "connection"],
    [
      "that gets a client certificate",
      mutual,
      { ca_file: trusted, cert_file: certFile, key_file: keyFile },
      "a 1",
    ],
    ["whose CA cannot be read", plain, { ca_file: join(folder, "none.pem") }, "secret"],
  ] as const)("%s", async (_, server, tls, want) => {
    expect(await outcome(server, tls)).toBe(want);
  });
});
