/**
 * The image, the compose file, the manifests of Kubernetes and the Debian package: what they name exists, and they agree with each
 * other. `scripts/try-chroot` installs them.
 */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { validate } from "dockerfile-utils";
import { parse, parseAllDocuments } from "yaml";
import { loadConfig, describeSettings } from "../../../src/config/config.ts";
import { weir } from "../../commands/weir.ts";
import { GatewayProcess } from "../../gateway-process.ts";
import { temporaryFolder } from "../../temporary-folder.ts";

const DEPLOY = join(import.meta.dir, "../../../scripts/deploy");
const read = (path: string) => readFileSync(join(DEPLOY, path), "utf8");
const dockerfile = read("docker/Dockerfile");
const VARIABLES = new Set([...describeSettings().map(({ variable }) => variable), "WEIR_ADMIN_TOKEN"]);
const routes = readFileSync(join(DEPLOY, "../../src/http/README.md"), "utf8");

test("the Dockerfile has no instruction that an engine rejects or warns of", () => {
  expect(validate(dockerfile)).toEqual([]);
  // That the check finds something.
  const messages = validate("FROM debian\nMAINTAINER nobody\nEXPOSE port\n").map(({ message }) => message);
  expect(messages).toEqual(["MAINTAINER has been deprecated", "Invalid containerPort: port"]);
});

test("the image has settings that exist, an unprivileged user, a volume and a health check", () => {
  const names = [...dockerfile.matchAll(/\b(WEIR_[A-Z_]+)=/g)].map(([, name]) => name!);
  expect(names.filter((name) => !VARIABLES.has(name))).toEqual([]);
  const lines = dockerfile.split("\n");
  expect(lines.indexOf("USER weir")).toBeGreaterThan(lines.findLastIndex((line) => line.startsWith("RUN ")));
  for (const line of ["VOLUME /var/lib/weir", "EXPOSE 9091", 'ENTRYPOINT ["/usr/bin/weir"]', 'CMD ["serve"]'])
    expect(lines).toContain(line);
});

test("weir health, the health check of the image, says whether a gateway runs and is ready", async () => {
  const gateway = await GatewayProcess.start({
    data: join(temporaryFolder(), "data"),
    args: ["--no-sampler"],
  });
  const url = ["--url", gateway.url];
  expect(await weir(["health", ...url])).toMatchObject({ code: 0, err: "" });
  expect(await weir(["health", "--ready", ...url])).toMatchObject({ code: 0, err: "" });
  await gateway.stop("SIGTERM");
  const { code, err } = await weir(["health", ...url]);
  expect(code).toBe(1);
  expect(err).toContain("Cannot reach a gateway");
});

interface Compose {
  readonly services: Readonly<
    Record<
      string,
      {
        readonly volumes: readonly string[];
        readonly environment: Readonly<Record<string, string>>;
        readonly configs?: readonly { readonly source: string }[];
        readonly read_only?: boolean;
      }
    >
  >;
  readonly configs: Readonly<Record<string, { readonly content: string }>>;
}

test("the compose file mounts files that exist, and configures Prometheus and Grafana for the gateway", () => {
  const { services, configs } = parse(read("docker/compose.yml")) as Compose;
  expect(Object.keys(services)).toEqual(["weir", "prometheus", "grafana"]);
  expect(services.weir?.read_only).toBe(true);
  const mounted = Object.values(services)
    .flatMap(({ volumes }) => volumes)
    .map((volume) => volume.split(":")[0]!)
    .filter((path) => path.startsWith("."));
  expect(mounted.length).toBe(3);
  expect(mounted.filter((path) => !existsSync(join(DEPLOY, "docker", path)))).toEqual([]);
  expect(Object.keys(services.weir?.environment ?? {}).filter((name) => !VARIABLES.has(name))).toEqual([]);
  const sources = Object.values(services).flatMap(({ configs: used = [] }) =>
    used.map(({ source }) => source),
  );
  expect(sources.toSorted()).toEqual(Object.keys(configs).toSorted());
  const { scrape_configs } = parse(configs.prometheus!.content) as {
    scrape_configs: readonly { honor_labels: boolean; static_configs: { targets: string[] }[] }[];
  };
  expect(scrape_configs).toMatchObject([
    { honor_labels: true, static_configs: [{ targets: ["weir:9091"] }] },
  ]);
  const { datasources } = parse(configs.grafana_datasource!.content) as {
    datasources: { uid: string; url: string }[];
  };
  expect(datasources).toMatchObject([{ uid: "weir", url: "http://weir:9091" }]);
});

test("the manifests of Kubernetes run the user of the image, with one replica and probes that are routes", () => {
  const [service, set] = parseAllDocuments(read("kubernetes/weir.yaml")).map((each) => each.toJS());
  expect([service.kind, set.kind]).toEqual(["Service", "StatefulSet"]);
  expect(service.spec.selector).toEqual(set.spec.selector.matchLabels);
  expect(service.metadata.annotations).toEqual(set.spec.template.metadata.annotations);
  expect(set.spec.replicas).toBe(1);
  const { containers, securityContext, terminationGracePeriodSeconds } = set.spec.template.spec;
  expect(dockerfile).toContain(`--uid ${securityContext.runAsUser} `);
  expect(terminationGracePeriodSeconds * 1_000).toBeGreaterThan(
    loadConfig([], {}, () => undefined).stopTimeoutMs,
  );
  const [container] = containers;
  for (const probe of ["startupProbe", "livenessProbe", "readinessProbe"])
    expect(routes).toContain(`| \`GET\` | \`${container[probe].httpGet.path}\` | none |`);
  const names = container.env.map(({ name }: { name: string }) => name);
  expect(names.filter((name: string) => !VARIABLES.has(name))).toEqual([]);
  expect(container.volumeMounts.map(({ mountPath }: { mountPath: string }) => mountPath)).toContain(
    "/var/lib/weir",
  );
});

test("the settings of the Debian package are those that its unit and its scripts expect", async () => {
  const config = loadConfig(["--config", "weir.toml"], {}, () => read("debian/weir.toml"));
  expect(config.data).toBe("/var/lib/weir");
  expect(config.listen).toEqual([{ hostname: "127.0.0.1", port: 9091 }]);
  const { out } = await weir([
    "init",
    "--service",
    "systemd",
    "--print-unit",
    "--program",
    "/usr/bin/weir",
    "--user",
    "weir",
  ]);
  expect(out).toContain("\nExecStart=/usr/bin/weir serve --config /etc/weir/weir.toml\n");
  expect(out).toContain("\nUser=weir\nStateDirectory=weir\nStateDirectoryMode=0700\n");
  expect(out).toContain("\nEnvironment=WEIR_DATA=/var/lib/weir\n");
});
