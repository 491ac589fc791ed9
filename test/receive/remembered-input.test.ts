/** What decoders remember of input: the memory is bounded in bytes, not only in entries, because an entry can be long. */
import { heapStats } from "bun:jsc";
import { describe, expect, test } from "bun:test";
import { StatsdDecoder } from "../../src/receive/statsd/statsd.ts";
import { TextLinesDecoder } from "../../src/receive/victoria-metrics/text-lines.ts";
import { ByteParts } from "../../src/wire/byte-parts.ts";
import { FamilyMetadata } from "../../src/wire/exposition-formats/family-metadata.ts";
import { DatagramSegment } from "../../src/wire/sockets/waiting-datagrams.ts";
import { DEFAULTS } from "../defaults.ts";

const MiB = 2 ** 20;

/** The memory that some inputs add, in MiB. */
function addedMiB(add: () => void): number {
  Bun.gc(true);
  const before = heapStats();
  add();
  Bun.gc(true);
  const after = heapStats();
  return (after.heapSize + after.extraMemorySize - before.heapSize - before.extraMemorySize) / MiB;
}

describe("the memory is bounded", () => {
  test("for long lines of StatsD, of which each is a series", () => {
    const decoder = new StatsdDecoder({
      ...DEFAULTS,
      isAttribute: () => false,
      epoch: () => 0,
      level: () => undefined,
    });
    const added = addedMiB(() => {
      const segment = new DatagramSegment();
      for (let line = 0; line < 2_500; line++) {
        segment.length = 0;
        // The label is a part of a long text, which it may keep in memory.
        const bytes = Buffer.from(`m:1|c|#n:number-${line}|c:${"x".repeat(60_000)}`);
        segment.add(bytes, 0, bytes.length, 0);
        decoder.decode(segment, 0);
        decoder.take();
      }
    });
    expect(added).toBeLessThan(110);
  });

  test("for a body that arrives byte by byte", () => {
    const parts = new ByteParts();
    const added = addedMiB(() => {
      for (let byte = 0; byte < MiB; byte++) parts.add(Uint8Array.of(byte & 255));
    });
    expect(added).toBeLessThan(20);
    expect(parts.take().every((byte, at) => byte === (at & 255))).toBe(true);
  });

  test("for long names of VictoriaMetrics' text lines", () => {
    const decoder = new TextLinesDecoder();
    const added = addedMiB(() => {
      for (let line = 0; line < 300; line++) decoder.decode(Buffer.from(`m${line}${"x".repeat(MiB)} 1\n`), 0);
    });
    expect(added).toBeLessThan(200);
  });

  test("for long names and texts of metadata", () => {
    const metadata = new FamilyMetadata();
    const said = (help: string) => ({ type: "gauge", unit: "", help }) as const;
    const added = addedMiB(() => {
      for (let family = 0; family < 300; family++) {
        metadata.note(`n${family}${"x".repeat(MiB)}`, said(""));
        metadata.note(`h${family}`, said(`${family}${"x".repeat(MiB)}`));
      }
    });
    expect(added).toBeLessThan(50);
    expect(metadata.note(`x${"x".repeat(MiB)}`, said(""))).toBe("full");
    expect(metadata.note("short", said(""))).toBe("new");
  });
});
