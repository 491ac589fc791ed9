/** Templates of Graphite paths. The cases are those of the documents of InfluxDB and Telegraf. */
import { describe, expect, test } from "bun:test";
import { PathTemplates } from "../../../src/receive/graphite/path-templates.ts";

/** The name and the sorted tags, as `name{a=b}`. */
function apply(path: string, ...templates: string[]): string {
  const { metric, tags } = new PathTemplates(templates).apply(path);
  return `${metric}{${tags
    .map(([name, value]) => `${name}=${value}`)
    .sort()
    .join(",")}}`;
}

describe("a template", () => {
  test("makes tags of the parts of a path", () => {
    expect(apply("servers.localhost.cpu.load", ".host.measurement*")).toBe("cpu.load{host=localhost}");
    expect(apply("servers.localhost.cpu.load.avg", ".host.measurement.measurement.field")).toBe(
      "cpu.load.avg{host=localhost}",
    );
    expect(apply("us.west.cpu.load", "region.region.measurement*")).toBe("cpu.load{region=us.west}");
    expect(apply("us.west.cpu.load", "measurement.region.field*")).toBe("us.cpu.load{region=west}");
    expect(apply("cpu.usage.eu-east.idle.percentage", "measurement.measurement.region.field*")).toBe(
      "cpu.usage.idle.percentage{region=eu-east}",
    );
    expect(apply("a.b.c.d", "measurement.rest*")).toBe("a{rest=b.c.d}");
    expect(apply("cpu.load", "measurement* region=us,east zone=1")).toBe("cpu.load{region=us,east,zone=1}");
  });

  test("leaves out what it does not name, and a path that is too short keeps its name", () => {
    expect(apply("servers.localhost.cpu.load", "..measurement")).toBe("cpu{}");
    expect(apply("cpu", ".host.measurement")).toBe("cpu{}");
    expect(apply("a..b", "measurement.host.field")).toBe("a.b{host=}");
  });

  test("with the most specific filter counts", () => {
    const templates = [
      "measurement*",
      "servers.* .host.measurement*",
      "servers.web.* .role.host.measurement*",
      "*.web.* region.role.host.measurement*",
    ];
    expect(apply("other.cpu", ...templates)).toBe("other.cpu{}");
    expect(apply("servers.db1.cpu", ...templates)).toBe("cpu{host=db1}");
    expect(apply("servers.web.w1.cpu", ...templates)).toBe("cpu{host=w1,role=web}");
    expect(apply("eu.web.w1.cpu", ...templates)).toBe("cpu{host=w1,region=eu,role=web}");
    expect(apply("servers", ...templates)).toBe("servers{}");
  });

  test("that is invalid is rejected with the reason", () => {
    const rejected = (text: string) => {
      try {
        new PathTemplates([text]);
        return "accepted";
      } catch (error) {
        return (error as Error).message.replace(/^.*: /, "");
      }
    };
    expect(rejected("host.region")).toBe("no part of the template is measurement.");
    expect(rejected("mea*.measurement")).toBe("only the last part may end with *.");
    expect(rejected("measurement.fi*ld")).toBe("a part has a * that is not at its end.");
    expect(rejected("a b measurement")).toBe('it has 3 words without "=".');
    expect(rejected("measurement host=")).toBe("a tag has no name or no value.");
    expect(() => new PathTemplates(["host"])).toThrow(
      'graphiteTemplates has "host", expected [FILTER] TEMPLATE [TAG=VALUE …]: no part of the template is measurement.',
    );
  });
});
