/** A reload of a gateway that runs: which settings of weir.toml it applies, and what it says of the others. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";

test("a reload applies rules, service levels and expectations of weir.toml, and names settings that need a restart", async () => {
  const folder = temporaryFolder();
  const file = join(folder, "weir.toml");
  const rules = join(folder, "more.rules.yml");
  writeFileSync(file, "");
  writeFileSync(rules, "groups: [{name: more, rules: [{record: one, expr: vector(1)}]}]");
  const data = join(folder, "data");
  const gateway = await GatewayProcess.start({ data, args: ["--config", file, "--sampler-parts=gateway"] });
  try {
    const reload = async () => {
      const answer = await fetch(`${gateway.url}/-/reload`, { method: "POST" });
      return [answer.status, await answer.text()];
    };
    const groups = async () => {
      const answer = await fetch(`${gateway.url}/api/v1/rules`);
      const { data: found } = (await answer.json()) as { data: { groups: { name: string; file: string }[] } };
      return found.groups.map((each) => each.name);
    };
    expect(await reload()).toEqual([200, ""]);
    expect(await groups()).toEqual([]);

    const toml = `rules = [${JSON.stringify(rules)}]\n[[expect]]\njob = "backup"\nevery = "24h"\n`;
    writeFileSync(file, toml);
    expect(await reload()).toEqual([200, ""]);
    expect(await groups()).toEqual(["more", expect.stringContaining("backup")]);

    writeFileSync(
      file,
      `sqlRowsMax = 50\n${toml}[[notify]]\nname = "hook"\ntype = "webhook"\nurl = "http://127.0.0.1:1/"\n`,
    );
    expect(await reload()).toEqual([
      200,
      "The rules are reloaded. A restart is needed for other settings that have changed: sqlRowsMax, notify.\n",
    ]);
    expect(gateway.log.text).toContain("sqlRowsMax, notify");

    writeFileSync(file, '[[expect]]\njob = "backup"\nevery = "soon"\n');
    const [status, text] = await reload();
    expect(status).toBe(500);
    expect(text).toContain("weir.toml:1:1: ");
    expect(text).toContain("every of expect");
    expect(await groups()).toHaveLength(2);

    writeFileSync(file, "");
    expect(await reload()).toEqual([200, ""]);
    expect(await groups()).toEqual([]);
  } finally {
    await gateway.stop("SIGKILL");
  }
});
