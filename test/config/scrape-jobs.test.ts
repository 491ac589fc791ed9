/** The setting `scrape`: what its texts and tables mean, what is an error, and that no secret is printed. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { formatSetting, loadConfig, settingTexts } from "../../src/config/config.ts";
import { formatScrapeJobs, readScrapeJobs } from "../../src/config/scrape-jobs.ts";
import { type ScrapeJob, targetLabels } from "../../src/model/scrape-job.ts";

const load = (argv: readonly string[], env: Record<string, string> = {}, toml?: string) =>
  loadConfig(argv, env, () => toml).scrape;
const fromToml = (text: string) => load([], {}, text);

const errorOf = (read: () => unknown): string => {
  try {
    read();
  } catch (error) {
    return (error as Error).message;
  }
  return "";
};

/** The labels of the targets of a job. */
const labels = (jobs: readonly ScrapeJob[]) =>
  jobs.flatMap((job) => job.addresses.map((each) => Object.fromEntries(targetLabels(job, each))));

describe("a target as text", () => {
  test("has the path, the job, the instance and the interval of the flag", () => {
    const [job] = load([
      "--scrape",
      "http://localhost:8082/prometheus,job=gpu-worker,instance=gpu-1,interval=5s",
    ]);
    expect(job).toMatchObject({
      jobName: "gpu-worker",
      scheme: "http",
      metricsPath: "/prometheus",
      params: [],
      addresses: [{ address: "localhost:8082", labels: { instance: "gpu-1" } }],
      intervalMs: 5_000,
      timeoutMs: 5_000,
      honorLabels: false,
      honorTimestamps: true,
      enableCompression: true,
      followRedirects: true,
      bodySizeLimit: 134_217_728,
      sampleLimit: 0,
    });
    expect(labels([job!])).toEqual([{ instance: "gpu-1", job: "gpu-worker" }]);
  });

  test("has defaults for everything but the host", () => {
    const [job] = load(["--scrape=node:9100"]);
    expect(job).toMatchObject({
      jobName: "scrape",
      scheme: "http",
      metricsPath: "/metrics",
      intervalMs: 15_000,
      timeoutMs: 10_000,
    });
    expect(labels([job!])).toEqual([{ instance: "node:9100", job: "scrape" }]);
  });

  // One line a case: the text, and the labels or a part of the job.
  const ok: [string, object][] = [
    ["http://a/", { metricsPath: "/metrics" }],
    ["http://a", { addresses: [{ address: "a", labels: {} }] }],
    ["http://a:80", { addresses: [{ address: "a:80", labels: {} }] }],
    ["https://a/m", { scheme: "https", metricsPath: "/m" }],
    ["http://[::1]:9100/m", { addresses: [{ address: "[::1]:9100", labels: {} }] }],
    [
      "http://a/m?x=1&x=2&y=%2C",
      {
        params: [
          ["x", "1"],
          ["x", "2"],
          ["y", ","],
        ],
      },
    ],
    [
      "a,labels.zone=eu,labels.env=prod",
      { addresses: [{ address: "a", labels: { zone: "eu", env: "prod" } }] },
    ],
    ["a,honor_labels=true,honor_timestamps=false", { honorLabels: true, honorTimestamps: false }],
    ["a,timeout=2s,interval=1m", { timeoutMs: 2_000, intervalMs: 60_000 }],
    ["a,sample_limit=100,body_size_limit=10MB", { sampleLimit: 100, bodySizeLimit: 10_485_760 }],
    [
      "http://me:p%40ss,w@a",
      { authorization: { is: "basic", username: "me", password: { text: "p@ss,w" } } },
    ],
    [
      "a,bearer_token_file=/t",
      { authorization: { is: "header", type: "Bearer", credentials: { file: "/t" } } },
    ],
  ];
  test.each(ok)("%s", (text, part) => {
    expect(readScrapeJobs(text, "--scrape")[0]).toMatchObject(part);
  });

  const bad: [string, string][] = [
    [
      "ftp://a",
      '--scrape is "ftp://a", expected URL[,job=…,instance=…,interval=15s] with an http or https URL.',
    ],
    [
      "http://",
      '--scrape is "http://", expected URL[,job=…,instance=…,interval=15s] with an http or https URL.',
    ],
    [
      "http://a#b",
      '--scrape is "http://a#b", expected URL[,job=…,instance=…,interval=15s] with an http or https URL.',
    ],
    [
      "a,interval=0s",
      'scrape_interval of --scrape (job "scrape") is "0s", expected a duration from 100ms to 1d, such as 15s.',
    ],
    [
      "a,interval=15",
      'scrape_interval of --scrape (job "scrape") is "15", expected a duration from 100ms to 1d, such as 15s.',
    ],
    [
      "a,interval=1s,timeout=2s",
      'scrape_timeout of --scrape (job "scrape") is 2s, expected at most the scrape_interval, 1s.',
    ],
    ["a,honor_labels=yes", 'honor_labels of --scrape (job "scrape") is "yes", expected true or false.'],
    [
      "a,sample_limit=-1",
      'sample_limit of --scrape (job "scrape") is "-1", expected a whole number, 0 for no limit.',
    ],
    [
      "a,body_size_limit=big",
      'body_size_limit of --scrape (job "scrape") is "big", expected a size such as 10MB, 0 for no limit.',
    ],
    [
      "a,labels.0=x",
      'labels of static_configs of --scrape (job "scrape") has the name "0", expected letters, digits and _, without __ in front.',
    ],
    [
      "a,labels.__x=y",
      'labels of static_configs of --scrape (job "scrape") has the name "__x", expected letters, digits and _, without __ in front.',
    ],
    [
      "a a",
      '--scrape has two targets with the same labels, job "scrape" and target "a": give each its own job or instance.',
    ],
  ];
  test.each(bad)("%s is an error", (text, message) => {
    expect(errorOf(() => readScrapeJobs(text, "--scrape"))).toBe(message);
  });

  test("with an unknown key names the nearest one", () => {
    expect(errorOf(() => readScrapeJobs("a,jop=x", "--scrape"))).toStartWith(
      '--scrape has the unknown key "jop"; did you mean job? Known are instance, labels.NAME, job, ',
    );
  });

  test("can be given more than once, and in a variable with blanks between", () => {
    expect(labels(load(["--scrape=a,job=x", "--scrape", "b,job=x"])).map(({ instance }) => instance)).toEqual(
      ["a", "b"],
    );
    expect(labels(load([], { WEIR_SCRAPE: "a,job=x  b,job=y" }))).toEqual([
      { instance: "a", job: "x" },
      { instance: "b", job: "y" },
    ]);
    expect(labels(load([], {}, 'scrape = ["a", "b"]')).map(({ instance }) => instance)).toEqual(["a", "b"]);
  });
});

describe("a job as a table", () => {
  test("has the settings of prometheus.yml", () => {
    const [job] = fromToml(`
[[scrape]]
job_name = "all"
scheme = "https"
metrics_path = "/m"
params = { "match[]" = ["a", "b"], c = "d" }
scrape_interval = "1m30s"
scrape_timeout = "20s"
scrape_protocols = ["PrometheusProto", "PrometheusText0.0.4"]
honor_labels = true
honor_timestamps = false
track_timestamps_staleness = true
enable_compression = false
follow_redirects = false
body_size_limit = "1GiB"
sample_limit = 1
label_limit = 2
label_name_length_limit = 3
label_value_length_limit = 4
static_configs = [
  { targets = ["a:1", "b:2"], labels = { zone = "eu" } },
  { targets = ["c:3"], labels = { job = "other", instance = "c" } },
]
authorization = { type = "Token", credentials_file = "t" }
tls_config = { ca_file = "ca", cert_file = "cert", key_file = "key", server_name = "s", insecure_skip_verify = true }
`);
    expect(job).toEqual({
      jobName: "all",
      scheme: "https",
      metricsPath: "/m",
      params: [
        ["match[]", "a"],
        ["match[]", "b"],
        ["c", "d"],
      ],
      addresses: [
        { address: "a:1", labels: { zone: "eu" } },
        { address: "b:2", labels: { zone: "eu" } },
        { address: "c:3", labels: { job: "other", instance: "c" } },
      ],
      intervalMs: 90_000,
      timeoutMs: 20_000,
      protocols: ["PrometheusProto", "PrometheusText0.0.4"],
      honorLabels: true,
      honorTimestamps: false,
      trackTimestampsStaleness: true,
      enableCompression: false,
      followRedirects: false,
      authorization: { is: "header", type: "Token", credentials: { file: "t" } },
      tls: { caFile: "ca", certFile: "cert", keyFile: "key", serverName: "s", insecureSkipVerify: true },
      bodySizeLimit: 2 ** 30,
      sampleLimit: 1,
      labelLimit: 2,
      labelNameLengthLimit: 3,
      labelValueLengthLimit: 4,
    });
    expect(labels([job!])).toEqual([
      { instance: "a:1", job: "all", zone: "eu" },
      { instance: "b:2", job: "all", zone: "eu" },
      { instance: "c", job: "other" },
    ]);
  });

  test("is replaced by the flag", () => {
    expect(labels(load(["--scrape=b"], {}, '[[scrape]]\njob_name = "a"\ntargets = ["a"]\n'))).toEqual([
      { instance: "b", job: "scrape" },
    ]);
  });

  const table = (lines: string) => `[[scrape]]\njob_name = "j"\ntargets = ["a"]\n${lines}\n`;
  const of = 'of scrape in weir.toml (job "j")';
  const bad: [string, string][] = [
    ['[[scrape]]\ntargets = ["a"]\n', "job_name of scrape in weir.toml is missing."],
    ['[[scrape]]\njob_name = "j"\n', `targets ${of} is missing, expected at least one HOST:PORT.`],
    [
      '[[scrape]]\njob_name = "j"\ntargets = ["http://a/m"]\n',
      `targets ${of} has "http://a/m", expected HOST:PORT without a path.`,
    ],
    ["scrape = 5\n", "scrape in weir.toml has 5, expected a URL or a table."],
    [table("scrape_intervall = 1"), `scrape_intervall ${of} is not a setting; did you mean scrape_interval?`],
    [table("relabel_configs = []"), `relabel_configs ${of} is not supported by the scraper.`],
    [table("kubernetes_sd_configs = []"), `kubernetes_sd_configs ${of} is not supported by the scraper.`],
    [table('scheme = "ftp"'), `scheme ${of} is "ftp", expected http or https.`],
    [table('metrics_path = "m"'), `metrics_path ${of} is "m", expected a path that begins with /.`],
    [table("params = 1"), `params ${of} is not a table.`],
    [table("params = { a = 1 }"), `params.a ${of} is not a text or a list of texts.`],
    [
      table('scrape_protocols = ["x"]'),
      `scrape_protocols ${of} is ["x"], expected a list of PrometheusProto, OpenMetricsText1.0.0, OpenMetricsText0.0.1, PrometheusText0.0.4.`,
    ],
    [
      table('basic_auth = { usernam = "x" }'),
      `usernam of basic_auth ${of} is not a setting; did you mean username?`,
    ],
    [
      table('basic_auth = { password = "x", password_file = "y" }'),
      `password of basic_auth ${of} and password_file are both given, expected one of them.`,
    ],
    [
      table('basic_auth = {}\nbearer_token = "x"'),
      `authorization ${of} is given in several ways, expected one of basic_auth, authorization and bearer_token.`,
    ],
    [
      table('authorization = { type = "a b", credentials = "x" }'),
      `type of authorization ${of} is "a b", expected a word such as Bearer; use basic_auth for Basic.`,
    ],
    [table("authorization = {}"), `credentials of authorization ${of} is missing.`],
    [
      table('tls_config = { cert_file = "x" }'),
      `cert_file of tls_config ${of} and key_file belong together, expected both.`,
    ],
    [table("labels = { a = 1 }"), `labels.a ${of} is 1, expected a text.`],
  ];
  test.each(bad.map(([text, message]) => [message, text]))("rejects it: %s", (message, text) => {
    expect(errorOf(() => fromToml(text))).toBe(message);
  });
});

test("the examples of the scraper's document can be pasted", () => {
  const document = readFileSync(join(import.meta.dir, "../../src/receive/scrape/README.md"), "utf8");
  const examples = [...document.matchAll(/^```toml\n([\s\S]*?)^```$/gm)].map(([, text]) => text!);
  const jobs = examples.map((text) => fromToml(text).map(({ jobName }) => jobName));
  expect(jobs).toEqual([
    ["gpu-worker", "orchestrator", "workers", "node"],
    ["private", "federate"],
  ]);
});

describe("a secret", () => {
  const secret = "hush-hush";
  test("is not in the texts of the settings", () => {
    const config = loadConfig(
      [`--scrape=http://me:${secret}@a:1/m?token=${secret},job=x`],
      {},
      () => undefined,
    );
    expect(formatSetting(config, "scrape")).toBe("http://a:1/m?token=…,job=x,interval=15s");
    expect(JSON.stringify(settingTexts(config))).not.toContain(secret);
    const jobs = fromToml(
      `[[scrape]]\njob_name = "j"\ntargets = ["a", "b"]\nlabels = { zone = "eu" }\nbasic_auth = { username = "me", password = "${secret}" }\n`,
    );
    expect(formatScrapeJobs(jobs)).toBe(
      "http://a/metrics,job=j,labels.zone=eu,interval=15s http://b/metrics,job=j,labels.zone=eu,interval=15s",
    );
  });

  test.each([
    `--scrape=ftp://me:${secret}@a`,
    `--scrape=http://me:${secret}/x@a`,
    `--scrape=me:${secret}@a:port`,
    `--scrape=http://me:${secret}%zz@a`,
    `--scrape=a,password=${secret}`,
    `http://me:${secret}@a`,
    `--scrap=http://me:${secret}@a`,
  ])("is not in the error of %p", (argument) => {
    const message = errorOf(() => load([argument]));
    expect(message).not.toBe("");
    expect(message).not.toContain(secret);
  });

  test.each([
    `basic_auth = "${secret}"`,
    `basic_auth = { passwort = "${secret}" }`,
    `basic_auth = { password = ["${secret}"] }`,
    `authorization = { credentials = { a = "${secret}" } }`,
    `authorization = "${secret}"`,
    `bearer_token = ["${secret}"]`,
  ])("is not in the error of %p", (line) => {
    const message = errorOf(() => fromToml(`[[scrape]]\njob_name = "j"\ntargets = ["a"]\n${line}\n`));
    expect(message).not.toBe("");
    expect(message).not.toContain(secret);
  });
});
