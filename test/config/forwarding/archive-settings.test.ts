/** The settings of the archive: a table of weir.toml, and places that are none. */
import { expect, test } from "bun:test";
import { loadConfig } from "../../../src/config/config.ts";

const load = (toml: string, ...argv: string[]) =>
  loadConfig(argv, {}, (path) => (path === "weir.toml" ? toml : undefined));

test("are read from a table [archive], and from flat names", () => {
  const { archiveTo, archiveAfterMs, archiveHoldBytes } = load(
    'threads = 1\n[archive]\nto = "s3://metrics/gateways/berlin"\nafterMs = "1h"\nholdBytes = "2MB"\n',
  );
  expect({ archiveTo, archiveAfterMs, archiveHoldBytes }).toEqual({
    archiveTo: "s3://metrics/gateways/berlin",
    archiveAfterMs: 3_600_000,
    archiveHoldBytes: 2_000_000,
  });
  expect(load('archiveTo = "/srv/archive"').archiveTo).toBe("/srv/archive");
  expect(load('[archive]\nto = "/a"', "--archive-to", "/b").archiveTo).toBe("/b");
});

test("reject what is no archive, and quote no secret", () => {
  const bad = (to: string, message: string) =>
    expect(() => load("", `--archive-to=${to}`)).toThrow(`archiveTo ${message}.`);
  bad("data/archive", 'is "data/archive", expected an absolute path of a folder or s3://BUCKET/PREFIX');
  bad("s3://", 'is "s3://", expected the name of a bucket after s3://');
  bad(
    "s3://bucket/../x",
    `is "s3://bucket/../x", expected letters, digits and !_.*'()=- in the parts of its prefix`,
  );
  bad(
    "s3://KEY:SECRET@bucket/x",
    "has credentials or parameters, expected s3://BUCKET/PREFIX and credentials in variables",
  );
  expect(() => load("[archive]\nwhere = 1")).toThrow('Unknown setting "archiveWhere" in weir.toml');
  expect(() => load('archiveTo = "/a"\n[archive]\nto = "/b"')).toThrow(
    "archiveTo and to of [archive] in weir.toml are the same setting: give only one of them.",
  );
});
