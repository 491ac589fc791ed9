/**
 * Settings: where they are read, which source takes precedence, how values are spelled, and the errors of invalid ones.
 */
import { describe, expect, test } from "bun:test";
import {
  addressThatNeedsToken,
  describeSettings,
  loadConfig,
  resolveSettings,
  SettingError,
  type SettingKey,
  takeSettings,
} from "../../src/config/config.ts";
import { SETTINGS, type Setting } from "../../src/config/settings.ts";
import { formatValue, readValue } from "../../src/config/values.ts";

type Files = Readonly<Record<string, string>>;
type Variables = Readonly<Record<string, string>>;

const reader = (files: Files) => (path: string) => (Object.hasOwn(files, path) ? files[path] : undefined);
const load = (argv: readonly string[], env: Variables = {}, files: Files = {}) =>
  loadConfig(argv, env, reader(files));

/** The setting has this value after these arguments. */
function ok(
  argv: readonly string[],
  key: SettingKey,
  want: unknown,
  env: Variables = {},
  files: Files = {},
): void {
  expect(load(argv, env, files)[key]).toEqual(want as never);
}

/** Loading fails with exactly this sentence. */
function bad(argv: readonly string[], message: string, env: Variables = {}, files: Files = {}): void {
  let thrown: unknown;
  try {
    load(argv, env, files);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(SettingError);
  expect((thrown as Error).message).toBe(message);
}

describe("sources", () => {
  test("uses defaults for settings that are not given", () => {
    const config = load([]);
    expect(config.listen).toEqual([{ hostname: "127.0.0.1", port: 9091 }]);
    expect(config.retentionDays).toBe(7);
    expect(config.bodyBytesMax).toBe(33_554_432);
    expect(config.retentionIntervalMs).toBe(3_600_000);
    expect(config.attributes).toEqual(["task_id", "trace_id", "span_id", "request_id"]);
    expect(config.open).toBe(false);
    expect(config.sampler).toBe(true);
  });

  test("prefers flags to variables, variables to the file, and the file to defaults", () => {
    const files = { "weir.toml": "retentionDays = 1\nthreads = 1\nseriesMax = 1\n" };
    const env = { WEIR_RETENTION_DAYS: "2", WEIR_THREADS: "4" };
    const { config, origins } = resolveSettings(["--retention-days", "3"], env, reader(files));
    expect([config.retentionDays, config.threads, config.seriesMax, config.tagsMax]).toEqual([3, 4, 1, 64]);
    expect([origins.retentionDays, origins.threads, origins.seriesMax, origins.tagsMax]).toEqual([
      "--retention-days",
      "WEIR_THREADS",
      "weir.toml",
      "default",
    ]);
  });

  test("reads a file that a flag or variable names, and requires that it exists", () => {
    ok(["--config", "a.toml"], "threads", 3, {}, { "a.toml": "threads = 3", "weir.toml": "threads = 5" });
    ok(["--config=a.toml"], "threads", 3, { WEIR_CONFIG: "b.toml" }, { "a.toml": "threads = 3" });
    ok([], "threads", 3, { WEIR_CONFIG: "a.toml" }, { "a.toml": "threads = 3" });
    bad(["--config", "a.toml"], 'There is no configuration file "a.toml".');
  });

  test("accepts a flag as two words or one, and a boolean alone, with a value or negated", () => {
    ok(["--data", "/srv/weir"], "data", "/srv/weir");
    ok(["--data=/srv/a=b"], "data", "/srv/a=b");
    ok(["--open"], "open", true);
    ok(["--open=false"], "open", false);
    ok(["--no-sampler"], "sampler", false);
    ok(["--sampler=off"], "sampler", false);
    ok([], "sampler", false, { WEIR_SAMPLER: "off" });
    ok([], "sampler", false, {}, { "weir.toml": "sampler = false" });
  });

  test("uses the last of equal flags, and all values of a list", () => {
    ok(["--threads", "1", "--threads", "4"], "threads", 4);
    ok(["--listen", "127.0.0.1:1", "--listen", "unix:/run/weir"], "listen", [
      { hostname: "127.0.0.1", port: 1 },
      { path: "/run/weir" },
    ]);
    ok(["--attributes", "a,b", "--attributes", "c"], "attributes", ["a", "b", "c"]);
    ok([], "attributes", ["a", "b"], { WEIR_ATTRIBUTES: "a, b,a" });
    ok([], "attributes", ["a", "b"], {}, { "weir.toml": 'attributes = ["a", "b"]' });
    ok(["--attributes="], "attributes", []);
  });

  test("reads metricsRetentionDays as retentionDays", () => {
    ok([], "retentionDays", 14, { METRICS_RETENTION_DAYS: "14" });
    ok([], "retentionDays", 14, {}, { "weir.toml": "metricsRetentionDays = 14" });
    ok(["--metrics-retention-days", "14"], "retentionDays", 14);
    ok([], "retentionDays", 14, { METRICS_RETENTION_DAYS: "14", WEIR_RETENTION_DAYS: "14" });
    bad(
      [],
      'WEIR_RETENTION_DAYS is "7" and METRICS_RETENTION_DAYS is "14", but they are the same setting: give only one of them.',
      { METRICS_RETENTION_DAYS: "14", WEIR_RETENTION_DAYS: "7" },
    );
  });

  test("rejects two spellings of one setting as flags with different values", () => {
    const fault = (first: string, a: string, second: string, b: string) =>
      `${first} is "${a}" and ${second} is "${b}", but they are the same setting: give only one of them.`;
    bad(
      ["--metricsRetentionDays", "3", "--retention-days", "4"],
      fault("--metricsRetentionDays", "3", "--retention-days", "4"),
    );
    bad(
      ["--retention-days=4", "--metrics-retention-days=3"],
      fault("--retention-days", "4", "--metrics-retention-days", "3"),
    );
    bad(
      ["--metricsRetentionDays=3", "--retention-days=3", "--retention-days=4"],
      fault("--metricsRetentionDays", "3", "--retention-days", "4"),
    );
    bad(["--groupTtl", "1h", "--group-ttl-ms", "2h"], fault("--groupTtl", "1h", "--group-ttl-ms", "2h"));
    ok(["--metricsRetentionDays", "3", "--retention-days", "3"], "retentionDays", 3);
    // One spelling twice is a wrapper's argument that is overridden.
    ok(["--retention-days", "3", "--retention-days", "4"], "retentionDays", 4);
    expect(() => takeSettings(["--metricsRetentionDays", "3", "--retention-days", "4"])).toThrow(
      fault("--metricsRetentionDays", "3", "--retention-days", "4"),
    );
  });

  test("accepts the spelling of metricsRetentionDays that workers use, as a flag and as a variable", () => {
    ok(["--metricsRetentionDays", "14"], "retentionDays", 14);
    ok(["--metricsRetentionDays=30"], "retentionDays", 30, { metricsRetentionDays: "21" });
    ok([], "retentionDays", 21, { metricsRetentionDays: "21" });
    ok([], "retentionDays", 7, { metricsRetentionDays: "" });
    ok(["--groupTtl", "1h"], "groupTtlMs", 3_600_000);
    expect(resolveSettings([], { metricsRetentionDays: "21" }, reader({})).origins.retentionDays).toBe(
      "metricsRetentionDays",
    );
    expect(takeSettings(["--metricsRetentionDays", "14", "x"])).toEqual({
      settings: ["--metricsRetentionDays", "14"],
      rest: ["x"],
    });
    bad(["--metricsRetentionDays", "0"], '--metricsRetentionDays is "0", expected at least 1.');
    bad([], 'metricsRetentionDays is "a week", expected a whole number of days such as 7.', {
      metricsRetentionDays: "a week",
    });
    bad(
      [],
      'metricsRetentionDays is "21" and METRICS_RETENTION_DAYS is "14", but they are the same setting: give only one of them.',
      { metricsRetentionDays: "21", METRICS_RETENTION_DAYS: "14" },
    );
    bad(
      [],
      'WEIR_RETENTION_DAYS is "21" and METRICS_RETENTION_DAYS is "14", but they are the same setting: give only one of them.',
      { WEIR_RETENTION_DAYS: "21", metricsRetentionDays: "21", METRICS_RETENTION_DAYS: "14" },
    );
  });

  test("treats an empty variable as not set, and warns of unknown ones", () => {
    ok([], "threads", 2, { WEIR_THREADS: "" });
    const env = {
      WEIR_THREDS: "4",
      WEIR_PORT: "tcp://10.0.0.1:9091",
      WEIR_URL: "http://127.0.0.1:9091",
      HOME: "/",
    };
    const { unknownVariables, config } = resolveSettings([], env, reader({}));
    expect(unknownVariables[0]).toBe("WEIR_THREDS (did you mean WEIR_THREADS?)");
    expect(unknownVariables).toHaveLength(2);
    expect(config.threads).toBe(2);
  });

  test("separates the settings of a command from its own flags", () => {
    const argv = [
      "--url",
      "http://localhost",
      "--data",
      "x",
      "file.json",
      "--no-sampler",
      "--",
      "--data",
      "y",
    ];
    expect(takeSettings(argv)).toEqual({
      settings: ["--data", "x", "--no-sampler"],
      rest: ["--url", "http://localhost", "file.json", "--", "--data", "y"],
    });
  });
});

describe("unknown settings and invalid files", () => {
  test("suggests the nearest name for an unknown flag or key", () => {
    bad(["--retenton-days", "3"], 'Unknown setting "--retenton-days"; did you mean --retention-days?');
    bad(["--retentionDays=3"], 'Unknown setting "--retentionDays"; did you mean --retention-days?');
    bad(["--florp"], 'Unknown setting "--florp".');
    bad(["serve"], 'Unexpected argument "serve"; settings begin with "--".');
    bad(["--data"], "--data needs a value after it.");
    bad(["--no-open=true"], '--no-open takes no value, but was given "true".');
    bad(["--no-data"], 'Unknown setting "--no-data"; did you mean --data?');
    bad(
      [],
      'Unknown setting "retention_days" in weir.toml; did you mean retentionDays?',
      {},
      { "weir.toml": "retention_days = 3" },
    );
    bad(
      [],
      'Unknown setting "sampler_" in weir.toml; did you mean sampler?',
      {},
      { "weir.toml": "[sampler_]\na = 1" },
    );
  });

  test("reports the position in a file that is not TOML", () => {
    expect(() => load([], {}, { "weir.toml": "threads = 2\ndata = \n" })).toThrow(
      /^weir\.toml is not TOML at line 2, column \d+: /,
    );
  });
});

describe("values", () => {
  test("accepts durations and sizes with a suffix, or as a plain number in the unit of their name", () => {
    ok(["--sql-timeout-ms", "1500"], "sqlTimeoutMs", 1_500);
    ok(["--sql-timeout-ms", "15s"], "sqlTimeoutMs", 15_000);
    ok(["--sql-timeout-ms", "1.5m"], "sqlTimeoutMs", 90_000);
    ok(["--series-idle-ms", "2d"], "seriesIdleMs", 172_800_000);
    ok(["--totals-late-ms", "1.1s"], "totalsLateMs", 1_100);
    ok(["--body-bytes-max", "1MiB"], "bodyBytesMax", 1_048_576);
    ok(["--body-bytes-max", "1MB"], "bodyBytesMax", 1_000_000);
    ok(["--retention-bytes", "10 GiB"], "retentionBytes", 10_737_418_240);
    ok(["--retention-days", "30d"], "retentionDays", 30);
    ok(["--series-max", "2_000_000"], "seriesMax", 2_000_000);
    ok([], "sqlTimeoutMs", 15_000, {}, { "weir.toml": 'sqlTimeoutMs = "15s"' });
    ok([], "sqlTimeoutMs", 15_000, {}, { "weir.toml": "sqlTimeoutMs = 15_000" });
  });

  test("names and quotes an invalid value, and says what was expected", () => {
    bad(["--retention-days", "0"], '--retention-days is "0", expected at least 1.');
    bad(["--retention-days", "-1"], '--retention-days is "-1", expected a whole number of days such as 7.');
    bad(["--retention-days", "1.5"], '--retention-days is "1.5", expected a whole number of days such as 7.');
    bad(["--threads", "two"], '--threads is "two", expected a whole number.');
    bad(["--threads", ""], '--threads is "", expected a whole number.');
    bad(["--sql-timeout-ms", "2h"], '--sql-timeout-ms is "2h", expected at most 1h.');
    bad(
      ["--sql-timeout-ms", "5 hours"],
      '--sql-timeout-ms is "5 hours", expected a duration such as 1500 (milliseconds), 15s or 1h.',
    );
    bad(
      ["--body-bytes-max", "32 MIB"],
      '--body-bytes-max is "32 MIB", expected a size such as 1048576 or 32MiB.',
    );
    bad(
      ["--body-bytes-max", "1constructor"],
      '--body-bytes-max is "1constructor", expected a size such as 1048576 or 32MiB.',
    );
    bad(
      ["--log-level", "inof"],
      '--log-level is "inof", expected one of error, warn, info, debug (did you mean info?).',
    );
    bad(
      ["--sampler-parts", "gpus"],
      '--sampler-parts is "gpus", expected one of host, process, disks, network, containers, gpu, gateway (did you mean gpu?).',
    );
    bad(["--data="], '--data is "", expected a text that is not empty.');
    bad(["--open=maybe"], '--open is "maybe", expected true or false.');
    bad([], "threads in weir.toml is true, expected a whole number.", {}, { "weir.toml": "threads = true" });
    bad(
      [],
      "attributes in weir.toml is 3, expected a list of texts.",
      {},
      { "weir.toml": "attributes = [3]" },
    );
    bad([], 'WEIR_THREADS is "x", expected a whole number.', { WEIR_THREADS: "x" });
  });

  test("accepts addresses, and rejects what is not one", () => {
    ok(["--listen", "localhost:0"], "listen", [{ hostname: "localhost", port: 0 }]);
    ok(["--listen", "[::1]:9091"], "listen", [{ hostname: "::1", port: 9091 }]);
    ok(["--listen", "unix:/run/weir.sock"], "listen", [{ path: "/run/weir.sock" }]);
    ok(["--listen", "0.0.0.0:9091", "--open"], "listen", [{ hostname: "0.0.0.0", port: 9091 }]);
    const expected = "expected HOST:PORT with a port up to 65535, or unix:PATH.";
    bad(["--listen", "9091"], `--listen is "9091", ${expected}`);
    bad(["--listen", "127.0.0.1:99999"], `--listen is "127.0.0.1:99999", ${expected}`);
    bad(["--listen", "::1:9091"], `--listen is "::1:9091", ${expected}`);
    bad(["--listen", ","], '--listen is [","], expected at least one address.');
  });

  test("rejects an address of StatsD or Graphite that other machines reach, unless --open allows it", () => {
    const why =
      "which other machines may reach, and this protocol has no tokens, so everyone who reaches it can write: " +
      "give --open to allow this, or listen on 127.0.0.1.";
    for (const address of ["0.0.0.0:8125", "[::]:8125", "gateway.example:8125", "127.0.0.1.example:1"]) {
      bad(["--statsd-listen", address], `statsdListen is "${address}", ${why}`);
      bad(["--graphite-listen", address], `graphiteListen is "${address}", ${why}`);
      expect(load(["--statsd-listen", address, "--open"]).statsdListen).toHaveLength(1);
    }
  });

  test("finds the first address that needs a token", () => {
    const needs = (...argv: string[]) => addressThatNeedsToken(load(argv));
    for (const address of ["0.0.0.0:9091", "[::]:9091", "gateway.example:9091", "128.0.0.1:9091"]) {
      expect(needs("--listen", `127.0.0.1:9091,${address}`)).toEqual({
        key: "listen",
        flag: "--listen",
        address,
      });
      expect(needs("--listen", address, "--open")).toBeUndefined();
    }
    expect(needs("--otlp-listen", "0.0.0.0:4318")?.key).toBe("otlpListen");
    expect(needs("--otlp-grpc-listen", "[::]:4317")?.key).toBe("otlpGrpcListen");
    expect(
      needs("--listen", "localhost:0", "--otlp-listen", "127.1.2.3:4318,unix:/run/otlp.sock"),
    ).toBeUndefined();
  });

  test("rejects limits that contradict each other", () => {
    bad(
      ["--inflated-bytes-max", "1MiB"],
      "inflatedBytesMax is 1048576, expected at least bodyBytesMax (33554432).",
    );
  });
});

describe("limits", () => {
  test("are rates by name, also fractions and sizes, from any source", () => {
    const all = { requests: 100, samples: 50_000, bytes: 10_485_760, scrapes: 0.1 };
    ok(
      ["--limit-token", "requests=100,samples=50_000", "--limit-token=bytes=10MiB,scrapes=0.1"],
      "limitToken",
      all,
    );
    ok([], "limitAddress", { failures: 1, bytes: 1e6 }, { WEIR_LIMIT_ADDRESS: "failures=1, bytes=1MB" });
    ok([], "limitToken", { samples: 3 }, {}, { "weir.toml": 'limitToken = ["samples=2", "samples=3"]' });
    ok(["--limit-token="], "limitToken", {});
    ok([], "limitToken", {});
    const { type } = SETTINGS.limitToken;
    expect(readValue(type, formatValue(type, all), "x")).toEqual(all);
  });

  test("are rejected with what was expected", () => {
    const of = "limits such as requests=100, of requests, samples, bytes, scrapes";
    bad(["--limit-token", "requests"], `--limit-token is "requests", expected ${of}.`);
    bad(["--limit-token", "5"], `--limit-token is "5", expected ${of}.`);
    bad(
      ["--limit-token", "sample=5"],
      `--limit-token is "sample=5", expected ${of} (did you mean samples?).`,
    );
    bad(["--limit-token", "failures=5"], `--limit-token is "failures=5", expected ${of}.`);
    for (const amount of ["0", "-1", "x", "", "1e3", "2MiB", "9999999999999"])
      bad(
        ["--limit-token", `samples=${amount}`],
        `--limit-token is "samples=${amount}", expected a number above 0 and up to 1000000000000 per second after samples=.`,
      );
  });
});

describe("proxies", () => {
  test("are addresses, networks or unix", () => {
    const proxies = ["192.0.2.7", "10.0.0.0/8", "2001:db8::/32", "::1", "unix"];
    ok([`--trusted-proxies=${proxies.join(",")}`], "trustedProxies", proxies);
    for (const proxy of [
      "proxy.example",
      "10.0.0.0/33",
      "10.0.0.0/0",
      "10.0.0/8",
      "::1/129",
      "::1/",
      "unix/8",
      "10.0.0.0/8/8",
    ])
      bad(
        ["--trusted-proxies", proxy],
        `trustedProxies has "${proxy}", expected addresses or networks such as 192.0.2.7 or 10.0.0.0/8, or unix.`,
      );
  });
});

describe("names and origins", () => {
  test("are accepted as clients and browsers send them", () => {
    const hosts = ["weir.example.com", "*.corp.example", "weir", "a_b", "*"];
    ok([`--hosts=${hosts.join(",")}`], "hosts", hosts);
    const origins = ["https://app.example.com", "http://[::1]:3000", "chrome-extension://abcdef", "*"];
    ok([`--cors-origins=${origins.join(",")}`], "corsOrigins", origins);
  });

  test("are rejected if no request could ever have them", () => {
    for (const host of ["weir:9091", "http://weir", "a b", "*a", "a.*.b", "[::1]", "weir."])
      bad(
        ["--hosts", host],
        `hosts has "${host}", expected names without a port, such as weir.example.com, *.example.com or *.`,
      );
    for (const origin of [
      "app.example.com",
      "https://app.example.com/",
      "https://APP.example.com",
      "http://a:80",
      "https://",
      "null",
    ])
      bad(
        ["--cors-origins", origin],
        `corsOrigins has "${origin}", expected origins as browsers send them, such as https://app.example.com, or *.`,
      );
  });
});

describe("the table", () => {
  test("has defaults of the right type, within bounds, that parse from their printed form", () => {
    for (const [key, setting] of Object.entries(SETTINGS) as [string, Setting][]) {
      const shown = formatValue(setting.type, setting.default);
      expect({ key, value: readValue(setting.type, shown, key) }).toEqual({ key, value: setting.default });
    }
  });

  test("describes every setting and its default, under names that follow the rule", () => {
    for (const { key, flag, variable, what, why } of describeSettings()) {
      expect({ key, what }).toEqual({ key, what: expect.stringMatching(/^[A-Z].*\.$/) });
      expect({ key, why }).toEqual({ key, why: expect.stringMatching(/^[A-Z0-9].*\.$/) });
      expect(flag.slice(2).replaceAll("-", "")).toBe(key.toLowerCase());
      expect(variable.slice(5).replaceAll("_", "")).toBe(key.toUpperCase());
    }
  });

  test("has names that end with their unit", () => {
    for (const [key, { type }] of Object.entries(SETTINGS) as [string, Setting][]) {
      if (type.is === "milliseconds") expect(key).toEndWith("Ms");
      if (type.is === "bytes") expect(key).toMatch(/Bytes(Max)?$/);
      if (type.is === "days") expect(key).toEndWith("Days");
    }
  });
});
