/** A real client of Datadog's API sends to the real process: Debian's golang-github-zorkian-go-datadog-api-dev. */
import { afterEach, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { GatewayProcess } from "../../gateway-process.ts";
import { temporaryFolder } from "../../temporary-folder.ts";

const GOPATH = "/usr/share/gocode";
const hasClient =
  Bun.which("go") !== null && existsSync(join(GOPATH, "src/github.com/zorkian/go-datadog-api"));

const PROGRAM = `package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/zorkian/go-datadog-api"
)

func main() {
	client := datadog.NewClient("key", "application")
	client.SetBaseUrl(os.Args[1])
	fmt.Println(client.Validate())
	seconds, _ := strconv.ParseFloat(os.Args[2], 64)
	point := func(value float64) []datadog.DataPoint { return []datadog.DataPoint{{&seconds, &value}} }
	text := datadog.String
	fmt.Println(client.PostMetrics([]datadog.Metric{
		{Metric: text("go.done"), Type: text("count"), Points: point(3), Host: text("h-1"), Tags: []string{"op:get"}},
		{Metric: text("go.level"), Type: text("gauge"), Points: point(21.5)},
		{Metric: text("go.hits"), Type: text("rate"), Points: point(0.7), Interval: datadog.Int(10)},
	}))
	fmt.Println(client.PostCheck(datadog.Check{Check: text("alive"), HostName: text("h-1"), Tags: []string{}}))
	fmt.Println(client.PostMetrics([]datadog.Metric{{Metric: text(""), Points: point(1)}}))
}
`;

let gateway: GatewayProcess | undefined;
afterEach(() => gateway?.stop("SIGKILL"));

test.if(hasClient)("go-datadog-api posts metrics and checks, and reports what is rejected", async () => {
  const folder = temporaryFolder();
  const source = join(folder, "main.go");
  await Bun.write(source, PROGRAM);
  gateway = await GatewayProcess.start({ data: join(folder, "data"), args: ["--no-sampler"] });
  const seconds = Math.floor(Date.now() / 1000);
  const env = { ...process.env, GO111MODULE: "off", GOPATH, GOCACHE: join(folder, "cache") };
  const args = ["go", "run", source, `${gateway.url}/datadog`, String(seconds)];
  const { stdout, stderr } = Bun.spawnSync(args, { env });
  expect(stderr.toString()).toBe("");
  const [valid, posted, checked, rejected] = stdout.toString().split("\n");
  expect([valid, posted, checked]).toEqual(["true <nil>", "<nil>", "<nil>"]);
  expect(rejected).toContain(
    'API error 400 Bad Request: {"errors":["1 of 1 points were rejected","metric is empty',
  );

  const statement =
    "SELECT metric, kind, labels::VARCHAR, value, epoch(ts) FROM samples JOIN metrics USING (metric) ORDER BY ALL";
  const answer = await fetch(`${gateway.url}/api/v1/sql?format=json&q=${encodeURIComponent(statement)}`);
  const { rows } = (await answer.json()) as { rows: Record<string, unknown>[] };
  expect(rows.map((row) => Object.values(row))).toEqual([
    ["go.done", "delta", "{host=h-1, op=get}", 3, seconds],
    ["go.hits", "delta", "{}", 7, seconds],
    ["go.level", "gauge", "{}", 21.5, seconds],
  ]);
});
