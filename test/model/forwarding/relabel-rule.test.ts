/** Relabelling, with the values that Prometheus's own tests of it have, or that follow from its documentation. */
import { expect, test } from "bun:test";
import { type RelabelRule, relabelling } from "../../../src/model/forwarding/relabel-rule.ts";

const DEFAULTS: RelabelRule = {
  sourceLabels: [],
  separator: ";",
  regex: "(.*)",
  modulus: 0,
  targetLabel: "",
  replacement: "$1",
  action: "replace",
};

/** The labels after the rules. Undefined if the series is dropped. */
function relabelled(labels: Record<string, string>, ...rules: Partial<RelabelRule>[]) {
  const changed = relabelling(rules.map((rule) => ({ ...DEFAULTS, ...rule })))(
    new Map(Object.entries(labels)),
  );
  return changed && Object.fromEntries(changed);
}

const ABC = { a: "foo", b: "bar", c: "baz" };

test("replace puts the expansion of a match into a label", () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the replacement of a rule
  const rule = { sourceLabels: ["a"], regex: "f(.*)", targetLabel: "d", replacement: "ch${1}-ch${1}" };
  expect(relabelled(ABC, rule)).toEqual({ ...ABC, d: "choo-choo" });
});

test("replace joins several labels, and a later rule sees what an earlier one has made", () => {
  expect(
    relabelled(
      ABC,
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the replacement of a rule
      { sourceLabels: ["a", "b"], regex: "f(.*);(.*)r", targetLabel: "a", replacement: "b${1}${2}m" },
      { sourceLabels: ["c", "a"], regex: "(b).*b(.*)ba(.*)", targetLabel: "d", replacement: "$1$2$2$3" },
    ),
  ).toEqual({ a: "boobam", b: "bar", c: "baz", d: "boooom" });
});

test("replace changes nothing without a match of the whole value, and deletes a label that becomes empty", () => {
  expect(relabelled(ABC, { sourceLabels: ["a"], regex: "fo", targetLabel: "d" })).toEqual(ABC);
  expect(
    relabelled(ABC, { sourceLabels: ["a"], regex: "(f).*", targetLabel: "a", replacement: "$2" }),
  ).toEqual({
    b: "bar",
    c: "baz",
  });
});

test("replace expands the target, and ignores one that is no name of a label", () => {
  const labels = { a: "some-name-value" };
  const rule = { sourceLabels: ["a"], regex: "some-([^-]+)-([^,]+)", replacement: "$2" };
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the replacement of a rule
  expect(relabelled(labels, { ...rule, targetLabel: "${1}" })).toEqual({ ...labels, name: "value" });
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the replacement of a rule
  expect(relabelled(labels, { ...rule, targetLabel: "${1}-x" })).toEqual(labels);
});

test("names of groups, a dollar sign, and a line feed within a value work as in Go", () => {
  expect(
    relabelled(
      { a: "x\ny" },
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the replacement of a rule
      { sourceLabels: ["a"], regex: "(?P<one>.).y", targetLabel: "b", replacement: "${one}$$" },
    ),
  ).toEqual({ a: "x\ny", b: "x$" });
});

test("keep and drop decide by the whole value", () => {
  expect(relabelled(ABC, { sourceLabels: ["a"], regex: "foo", action: "keep" })).toEqual(ABC);
  expect(relabelled(ABC, { sourceLabels: ["a"], regex: "f", action: "keep" })).toBeUndefined();
  expect(relabelled(ABC, { sourceLabels: ["a"], regex: ".*o.*", action: "drop" })).toBeUndefined();
  expect(relabelled(ABC, { sourceLabels: ["a"], regex: "f|o", action: "drop" })).toEqual(ABC);
});

test("keepequal and dropequal compare with another label", () => {
  const labels = { address: "main.io", port: "main.io" };
  const rule = { sourceLabels: ["address"], targetLabel: "port" };
  expect(relabelled(labels, { ...rule, action: "keepequal" })).toEqual(labels);
  expect(relabelled(labels, { ...rule, action: "dropequal" })).toBeUndefined();
  expect(relabelled({ ...labels, port: "x" }, { ...rule, action: "keepequal" })).toBeUndefined();
});

test("hashmod has the number that Prometheus computes", () => {
  expect(
    relabelled(ABC, { sourceLabels: ["c"], targetLabel: "d", action: "hashmod", modulus: 1000 }),
  ).toEqual({
    ...ABC,
    d: "976",
  });
  expect(
    relabelled(
      { a: "foo\nbar" },
      { sourceLabels: ["a"], targetLabel: "b", action: "hashmod", modulus: 1000 },
    ),
  ).toEqual({
    a: "foo\nbar",
    b: "734",
  });
});

test("labelmap, labeldrop and labelkeep go by names", () => {
  const labels = { a: "foo", b1: "bar", b2: "baz" };
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the replacement of a rule
  expect(relabelled(labels, { regex: "(b.*)", replacement: "bar_${1}", action: "labelmap" })).toEqual({
    ...labels,
    bar_b1: "bar",
    bar_b2: "baz",
  });
  expect(relabelled(labels, { regex: "b.*", action: "labeldrop" })).toEqual({ a: "foo" });
  expect(relabelled(labels, { regex: "b.*", action: "labelkeep" })).toEqual({ b1: "bar", b2: "baz" });
});

test("lowercase and uppercase change the joined value", () => {
  expect(
    relabelled({ foo: "bAr123Foo" }, { sourceLabels: ["foo"], targetLabel: "l", action: "lowercase" }),
  ).toEqual({
    foo: "bAr123Foo",
    l: "bar123foo",
  });
  expect(
    relabelled({ foo: "bAr123Foo" }, { sourceLabels: ["foo"], targetLabel: "u", action: "uppercase" }),
  ).toEqual({
    foo: "bAr123Foo",
    u: "BAR123FOO",
  });
});
