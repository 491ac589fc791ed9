/** Debian's collectd sends to the real process with write_graphite, with tags over TCP and with a template over UDP. */
import { expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayProcess } from "../../gateway-process.ts";
import { canRun } from "../../real-servers.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { until } from "../../until.ts";

const hasCollectd = canRun("collectd") && existsSync("/usr/lib/collectd/write_graphite.so");

test.if(hasCollectd)("collectd's write_graphite is understood, with tags and with a template", async () => {
  const gateway = await GatewayProcess.start({
    data: temporaryFolder(),
    args: [
      ...["--no-sampler", "--graphite-listen=127.0.0.1:0"],
      "--graphite-templates=plain.* .host.measurement.measurement.measurement",
    ],
  });
  const port = /tcp:\/\/127\.0\.0\.1:(\d+)/.exec(gateway.log.text)![1];
  const folder = temporaryFolder();
  const config = join(folder, "collectd.conf");
  const node = (name: string, protocol: string, more: string) =>
    `<Node "${name}">\nHost "127.0.0.1"\nPort "${port}"\nProtocol "${protocol}"\n${more}\n</Node>`;
  writeFileSync(
    config,
    `Hostname "w1.example"
FQDNLookup false
BaseDir "${folder}"
PIDFile "${folder}/pid"
Interval 1
LoadPlugin load
LoadPlugin write_graphite
<Plugin write_graphite>
${node("tags", "tcp", "UseTags true")}
${node("plain", "udp", 'Prefix "plain."')}
</Plugin>
`,
  );
  const collectd = Bun.spawn(["collectd", "-f", "-C", config], { stdout: "ignore", stderr: "ignore" });
  try {
    let lines: string[] = [];
    await until("the values of both nodes", async () => {
      lines = (await (await fetch(`${gateway.url}/metrics`)).text()).split("\n");
      return lines.filter((line) => line.startsWith("load_load_shortterm{")).length === 2;
    });
    expect(lines.filter((line) => line.startsWith("weir_samples_rejected_total{"))).toEqual([]);
    const series = lines
      .filter((line) => line.startsWith("load_load_"))
      .map((line) => line.replace(/ .*/, ""));
    expect(series).toEqual(
      ["longterm", "midterm", "shortterm"].flatMap((name) => [
        `load_load_${name}{ds_name="${name}",host="w1.example",instance="",plugin="load",type="load"}`,
        `load_load_${name}{host="w1_example",instance=""}`,
      ]),
    );
  } finally {
    collectd.kill();
    await collectd.exited;
    await gateway.stop("SIGKILL");
  }
});
