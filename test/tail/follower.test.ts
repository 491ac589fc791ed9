/** Lines of followed files: each is stored once, over rotation, truncation, restarts, and while the gateway is away. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  copyFileSync,
  linkSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { gzipSync } from "node:zlib";
import { ImportTarget } from "../../src/commands/import/target.ts";
import { Interrupted } from "../../src/line-files/line-store.ts";
import { NOON_MS } from "../gateway.ts";
import { dated, Followed, sendTo, undated } from "./followed.ts";

let it: Followed;
beforeEach(async () => {
  it = await Followed.open();
});
afterEach(async () => {
  await it.close();
});

/** The line of value `n`, at its own time. */
const line = (n: number): string => dated(n, NOON_MS - 60_000 + n);
const lines = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, index) => line(from + index)).join("");

describe("lines", () => {
  test("are stored as they are appended, with the instance of the file's name", async () => {
    it.write("metrics_prod.json", lines(1, 3));
    it.start();
    await it.stores("1@prod", "2@prod");
    it.append("metrics_prod.json", line(3));
    it.append("metrics_1.json", line(4));
    await it.stores("1@prod", "2@prod", "3@prod", "4@1");
  });

  test("count in the totals of /metrics, unlike those of an import", async () => {
    it.write("metrics.json", lines(1, 3));
    it.start();
    await it.stores(1, 2);
    expect(await it.gateway.exposed()).toContain('m_count{instance=""} 2');
  });

  test("that are incomplete are read when their end was written", async () => {
    it.write("metrics.json", line(1) + line(2).slice(0, 20));
    it.start();
    await it.stores(1);
    it.append("metrics.json", line(2).slice(20, 40));
    it.append("metrics.json", line(2).slice(40));
    await it.stores(1, 2);
  });

  test("that are invalid are logged with file, number and offset, once, and the next ones are stored", async () => {
    it.write("metrics.json", `${line(1)}\n\n{"metric_name":"m"}\ngarbage\n${line(2)}`);
    it.start();
    await it.stores(1, 2);
    await it.loggedEvent("tail_line_rejected", 2);
    it.append("metrics.json", "more\n");
    await it.loggedEvent("tail_line_rejected", 3);
    const offset = line(1).length + 2;
    const found = it.logged.filter(({ event }) => event === "tail_line_rejected").map(({ fields }) => fields);
    expect(found).toMatchObject([
      { file: it.path("metrics.json"), line: 4, offset, cause: "value" },
      { line: 5, offset: offset + 20, cause: "syntax" },
      { line: 7, offset: offset + 28 + line(2).length, cause: "syntax" },
    ]);
    expect(String(found[1]!.reason)).toContain(`byte ${offset + 20} of the file has "garbage"`);
    expect(it.counts).toMatchObject({ lines: 2, rejected: 3 });
    await it.stop();
    it.start();
    it.append("metrics.json", line(3));
    await it.stores(1, 2, 3);
    expect(it.counts.rejected).toBe(3);
  });

  test("with fields that events do not have are stored, and each such field is logged once", async () => {
    const event = (value: number, more: string) =>
      `{"@timestamp":${NOON_MS - 60_000 + value},"metric_name":"m","value":${value}${more}}\n`;
    it.write(
      "metrics_1.json",
      `\n${event(1, "")}${event(2, ',"tipe":"gauge"')}${event(3, ',"tipe":"gauge"')}`,
    );
    it.start();
    await it.stores("1@1", "2@1", "3@1");
    it.append("metrics_1.json", event(4, ',"tipe":"gauge","lables":{}'));
    await it.stores("1@1", "2@1", "3@1", "4@1");
    await it.loggedEvent("tail_line_warning", 2);
    await it.stop();
    const found = it.logged
      .filter(({ event: name }) => name === "tail_line_warning")
      .map(({ fields }) => fields);
    expect(found).toMatchObject([
      {
        file: it.path("metrics_1.json"),
        line: 3,
        warning: expect.stringContaining('the field "tipe" is unknown'),
      },
      { line: 5, warning: expect.stringContaining('the field "lables" is unknown') },
    ]);
    expect(it.counts).toMatchObject({ lines: 4, rejected: 0 });
    expect(it.gateway.takeLog()).toHaveLength(2);
  });

  test("over 2 MiB are rejected once, with their number, and the next ones are stored", async () => {
    const long = "x".repeat(3_000_000);
    it.write("metrics.json", long);
    it.start();
    await it.loggedEvent("tail_started");
    it.append("metrics.json", `\n${line(1)}${long}`);
    await it.stores(1);
    it.append("metrics.json", `\n${line(2)}`);
    await it.stores(1, 2);
    const found = it.logged.filter(({ event }) => event === "tail_line_rejected").map(({ fields }) => fields);
    expect(found).toMatchObject([
      { line: 1, offset: 0, cause: "overlong" },
      { line: 3, offset: 3_000_001 + line(1).length, cause: "overlong" },
    ]);
    expect(it.counts.rejected).toBe(2);
  });
});

describe("the first start", () => {
  test("without --from-start skips what the files have, and reads what is added and what appears", async () => {
    it.write("metrics.json", lines(1, 3) + line(3).slice(0, 10));
    it.write("metrics.json.2024-10-03", line(9));
    it.start({ fromStart: false });
    await it.loggedEvent("tail_file", 2);
    it.append("metrics.json", line(3).slice(10));
    it.write("metrics_1.json", line(4));
    await it.stores(3, "4@1");
    await it.stop();
    it.append("metrics.json", line(5));
    it.start({ fromStart: false });
    await it.stores(3, "4@1", 5);
  });

  test("skips also in copies that a rotation makes of the skipped lines", async () => {
    it.write("metrics.json", lines(1, 3));
    it.start({ fromStart: false });
    await it.loggedEvent("tail_file");
    copyFileSync(it.path("metrics.json"), it.path("metrics.json.1"));
    it.append("metrics.json.1", line(3));
    truncateSync(it.path("metrics.json"));
    writeFileSync(it.path("metrics.json.2.gz"), gzipSync(lines(1, 3)));
    await it.loggedEvent("tail_file", 3);
    it.append("metrics.json", line(4));
    await it.stores(3, 4);
  });

  test("continues behind an import, also without --from-start", async () => {
    it.write("metrics.json", lines(1, 3));
    it.start();
    await it.stores(1, 2);
    await it.stop();
    rmSync(it.path("state"));
    it.append("metrics.json", line(3));
    it.start({ fromStart: false });
    await it.stores(1, 2, 3);
  });

  test("with --from-start reads rotated files first, the oldest first", async () => {
    it.write("metrics_1.json.2024-10-03", line(2));
    it.write("metrics_1.json.2024-10-02.gz", "");
    writeFileSync(it.path("metrics_1.json.2024-10-02.gz"), gzipSync(line(1)));
    it.write("metrics_1.json", line(3));
    it.start();
    await it.stores("1@1", "2@1", "3@1");
    const files = it.logged.flatMap(({ event, fields }) => (event === "tail_file" ? [fields.file] : []));
    expect(files).toEqual(
      ["metrics_1.json.2024-10-02.gz", "metrics_1.json.2024-10-03", "metrics_1.json"].map((name) =>
        it.path(name),
      ),
    );
  });
});

describe("a rotation", () => {
  test("by renaming loses nothing, although the pattern does not match the new name", async () => {
    it.write("metrics.json", lines(1, 3));
    it.start();
    await it.stores(1, 2);
    it.append("metrics.json", line(3));
    renameSync(it.path("metrics.json"), it.path("metrics.json.2024-10-04"));
    it.append("metrics.json", line(5));
    it.append("metrics.json.2024-10-04", line(4));
    await it.stores(1, 2, 3, 4, 5);
  });

  test("by renaming while nothing follows loses nothing, also if it happens twice", async () => {
    it.write("metrics.json", lines(1, 3));
    it.start();
    await it.stores(1, 2);
    await it.stop();
    it.append("metrics.json", line(3));
    renameSync(it.path("metrics.json"), it.path("metrics.json.1"));
    it.write("metrics.json", line(4));
    renameSync(it.path("metrics.json.1"), it.path("metrics.json.2"));
    renameSync(it.path("metrics.json"), it.path("metrics.json.1"));
    it.write("metrics.json", line(5));
    it.start();
    await it.stores(1, 2, 3, 4, 5);
  });

  test("by copying and truncating reads the rest from the copy", async () => {
    for (const isRunning of [true, false]) {
      const first = isRunning ? 1 : 11;
      it.append("metrics.json", lines(first, first + 2));
      it.start();
      const before = isRunning ? [] : [1, 2, 3, 4];
      await it.stores(...before, first, first + 1);
      if (!isRunning) await it.stop();
      it.append("metrics.json", line(first + 2));
      copyFileSync(it.path("metrics.json"), it.path(`metrics.json.2024-10-0${isRunning ? 3 : 4}`));
      truncateSync(it.path("metrics.json"));
      it.append("metrics.json", line(first + 3));
      if (!isRunning) it.start();
      await it.stores(...before, first, first + 1, first + 2, first + 3);
      await it.stop();
    }
  });

  test("with equal lines without a time stores the lines of both files", async () => {
    it.write("metrics.json", undated(1) + undated(2));
    it.start();
    await it.stores(1, 2);
    renameSync(it.path("metrics.json"), it.path("metrics.json.1"));
    it.write("metrics.json", undated(1));
    await it.stores(1, 1, 2);
    it.append("metrics.json", undated(2) + undated(3));
    await it.stores(1, 1, 2, 2, 3);
    copyFileSync(it.path("metrics.json"), it.path("metrics.json.0"));
    truncateSync(it.path("metrics.json"));
    await it.loggedEvent("tail_truncated");
    it.append("metrics.json", undated(1));
    await it.stores(1, 1, 1, 2, 2, 3);
  });

  test("with compression stores nothing twice", async () => {
    it.write("metrics.json", lines(1, 3));
    it.start();
    await it.stores(1, 2);
    renameSync(it.path("metrics.json"), it.path("metrics.json.1"));
    writeFileSync(it.path("metrics.json.1.gz"), gzipSync(lines(1, 4)));
    await it.stores(1, 2, 3);
    rmSync(it.path("metrics.json.1"));
    await it.loggedEvent("tail_file", 2);
    it.write("metrics.json", line(4));
    await it.stores(1, 2, 3, 4);
  });

  test("that leaves a hole, because the writer goes on at its old offset, loses nothing", async () => {
    it.write("metrics.json", lines(1, 3));
    it.start();
    await it.stores(1, 2);
    it.write("metrics.json", "\0".repeat(lines(1, 3).length) + line(3));
    await it.stores(1, 2, 3);
  });

  test("to a file that is longer at once is recognised by what stood before the position", async () => {
    it.write("metrics.json", lines(1, 3));
    it.start();
    await it.stores(1, 2);
    it.write("metrics.json", lines(3, 8));
    await it.stores(1, 2, 3, 4, 5, 6, 7);
  });
});

describe("files", () => {
  test("that are deleted are read to their end, also while the gateway is away", async () => {
    it.write("metrics.json", line(1));
    it.start();
    await it.stores(1);
    const { store } = it;
    const away = async () => {
      throw new Interrupted("away");
    };
    it.store = { withFirstLine: away, named: away, push: away };
    it.append("metrics.json", line(2));
    it.write("metrics_1.json", line(3));
    await it.loggedEvent("tail_gateway_away");
    rmSync(it.path("metrics.json"));
    rmSync(it.path("metrics_1.json"));
    it.store = store;
    await it.stores(1, 2, "3@1");
    await it.loggedEvent("tail_gateway_back");
  });

  test("with several names are one file", async () => {
    it.write("metrics_a.json", line(1));
    linkSync(it.path("metrics_a.json"), it.path("metrics_b.json"));
    symlinkSync(it.path("metrics_a.json"), it.path("metrics_c.json"));
    it.start();
    await it.stores("1@a");
    it.append("metrics_c.json", line(2));
    await it.stores("1@a", "2@a");
  });

  test("with the same first line are different files", async () => {
    it.write("metrics_a.json", undated(1) + line(2));
    it.write("metrics_b.json", undated(1) + line(3));
    it.write("metrics.json", undated(1) + line(4));
    it.start();
    await it.stores("1", "1@a", "1@b", "2@a", "3@b", "4");
  });

  test("of several patterns are found, in folders and by paths that do not exist yet", async () => {
    const patterns = [it.path("sub"), it.path("w*.{log,txt}"), it.path("one [1].json")];
    it.start({ patterns });
    await it.loggedEvent("tail_started");
    it.write("w1.log", line(1));
    it.write("w2.txt", line(2));
    it.write("w3.md", line(3));
    it.write("one [1].json", line(4));
    await it.stores(1, 2, 4);
  });

  test("that cannot be read are reported once, and do not delay others", async () => {
    it.write("metrics_a.json", Buffer.from(line(1), "utf8").toString("utf16le"));
    writeFileSync(it.path("metrics_a.json"), Buffer.from(line(1), "utf16le"));
    it.write("metrics_b.json", line(2));
    it.start();
    await it.stores("2@b");
    expect((await it.loggedEvent("tail_file_problem")).reason).toContain("UTF-16LE text, expected UTF-8");
  });
});

describe("the state", () => {
  test("that is damaged is set aside, and nothing is lost or stored twice", async () => {
    it.write("metrics.json", lines(1, 3));
    it.start();
    await it.stores(1, 2);
    await it.stop();
    it.append("metrics.json", line(3));
    it.write("state", '{"version":1,"patterns":[],"files":[{}]}');
    it.start({ fromStart: false });
    await it.stores(1, 2, 3);
    expect((await it.loggedEvent("tail_state_damaged")).aside).toBe(it.path("state.damaged"));
  });

  test("that is older than what is stored stores nothing twice", async () => {
    it.write("metrics.json", lines(1, 3));
    it.start();
    await it.stores(1, 2);
    await it.stop();
    copyFileSync(it.path("state"), it.path("old"));
    it.append("metrics.json", lines(3, 5));
    it.start();
    await it.stores(1, 2, 3, 4);
    await it.stop();
    renameSync(it.path("old"), it.path("state"));
    it.append("metrics.json", line(5));
    it.start();
    await it.stores(1, 2, 3, 4, 5);
  });

  test("of a file whose inode another file has by now does not apply to it", async () => {
    it.write("metrics.json", lines(1, 5));
    it.start();
    await it.stores(1, 2, 3, 4);
    await it.stop();
    // The same inode, with other content.
    it.write("metrics.json", lines(6, 12));
    it.start();
    await it.stores(1, 2, 3, 4, 6, 7, 8, 9, 10, 11);
  });

  test("is kept where the gateway has forgotten the import", async () => {
    it.write("metrics.json", lines(1, 3));
    it.start();
    await it.stores(1, 2);
    await it.stop();
    await it.gateway.query("SELECT 1");
    const real = new ImportTarget(sendTo(it.gateway));
    const other = await Followed.open();
    try {
      it.store = new ImportTarget(sendTo(other.gateway));
      it.append("metrics.json", line(3));
      it.start();
      await other.stores(3);
    } finally {
      await it.stop();
      it.store = real;
      await other.close();
    }
  });
});

describe("a push", () => {
  test("whose answer is lost is not repeated", async () => {
    it.write("metrics.json", lines(1, 3));
    const { store } = it;
    let pushes = 0;
    it.store = {
      withFirstLine: (hash) => store.withFirstLine(hash),
      named: (file) => store.named(file),
      async push(part, labels) {
        // Samples are visible before their push is answered.
        const isFirst = pushes++ === 0;
        const answer = await store.push(part, labels);
        if (isFirst) throw new Interrupted("the connection broke");
        return answer;
      },
    };
    it.start();
    await it.stores(1, 2);
    it.append("metrics.json", line(3));
    await it.stores(1, 2, 3);
    expect(pushes).toBe(2);
  });

  test("is of all lines that were read, also if the gateway goes away between the reading and the push", async () => {
    it.write("metrics.json.2024-01-15", lines(1, 3));
    const { store } = it;
    let asked = 0;
    it.store = {
      // The first time for the place of the file, and then for the name of its import.
      async withFirstLine(hash) {
        if (++asked === 2) throw new Interrupted("the connection broke");
        return await store.withFirstLine(hash);
      },
      named: (file) => store.named(file),
      push: (part, labels) => store.push(part, labels),
    };
    it.start();
    await it.stores(1, 2);
    expect(asked).toBeGreaterThan(2);
  });

  test("waits as long as Retry-After says", async () => {
    it.write("metrics.json", line(1));
    const { store } = it;
    let isBusy = true;
    it.store = {
      withFirstLine: (hash) => store.withFirstLine(hash),
      named: (file) => store.named(file),
      async push(part, labels) {
        if (isBusy) throw new Interrupted("busy", 3_600_000);
        return await store.push(part, labels);
      },
    };
    it.start();
    await it.loggedEvent("tail_file");
    await it.stop();
    isBusy = false;
    expect(await it.stored()).toEqual([]);
    it.start();
    await it.stores(1);
  });

  test("that meets an import of the same file stores each line once", async () => {
    it.write("metrics.json", lines(1, 3));
    it.start();
    await it.stores(1, 2);
    const { store } = it;
    const other = new ImportTarget(sendTo(it.gateway));
    let isFirst = true;
    it.store = {
      withFirstLine: (hash) => store.withFirstLine(hash),
      named: (file) => store.named(file),
      async push(part, labels) {
        // Another program is faster.
        if (isFirst) await other.push({ ...part, isLive: false }, labels);
        isFirst = false;
        return await store.push(part, labels);
      },
    };
    it.append("metrics.json", line(3));
    await it.stores(1, 2, 3);
    it.append("metrics.json", line(4));
    await it.stores(1, 2, 3, 4);
  });
});
