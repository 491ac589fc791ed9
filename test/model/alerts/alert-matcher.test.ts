/** Matchers of alerts: what Alertmanager's syntax means, and what is an error. */
import { describe, expect, test } from "bun:test";
import {
  alertTest,
  formatAlertMatcher,
  parseAlertMatchers,
} from "../../../src/model/alerts/alert-matcher.ts";

/** The matchers of a text, in the same form as their text. */
const ok = (text: string, ...want: string[]) =>
  test(`${text} is read as ${want.join(" and ")}`, () => {
    expect(parseAlertMatchers(text).map(formatAlertMatcher)).toEqual(want);
    expect(parseAlertMatchers(want.join(",")).map(formatAlertMatcher)).toEqual(want);
  });
const bad = (text: string, message: string) =>
  test(`${text} is rejected`, () => expect(() => parseAlertMatchers(text)).toThrow(message));

describe("a text", () => {
  ok("severity=critical", 'severity="critical"');
  ok('severity = "critical"', 'severity="critical"');
  ok('{a="1",b!="2",c=~"3|4",d!~".*5"}', 'a="1"', 'b!="2"', 'c=~"3|4"', 'd!~".*5"');
  ok("a=1, b=2,", 'a="1"', 'b="2"');
  ok('a="x,y=\\"z\\"}"', 'a="x,y=\\"z\\"}"');
  ok('a="one\\ntwo\\\\three"', 'a="one\\ntwo\\\\three"');
  ok('a=""', 'a=""');
  ok("a=", 'a=""');
  ok("{}");
  ok("a=~[0-9]+", 'a=~"[0-9]+"');
  bad("a", "is not a matcher");
  bad("=b", "is not a matcher");
  bad("1a=b", "is not a matcher");
  bad('{a="b"', "has an opening or a closing brace without the other");
  bad('a="b', "has a quotation mark without the other");
  bad('a=b"c"', "has a quotation mark without a backslash");
  bad('a=~"("', "is not a regular expression");
  bad("a,b=c", "is not a matcher");
});

test("an expression matches whole values, in time linear in their length", () => {
  const matches = alertTest(parseAlertMatchers('a=~"(x+x+)+y"'));
  expect(matches({ a: "xxy" })).toBe(true);
  expect(matches({ a: "xxyz" })).toBe(false);
  // An engine that backtracks would need years.
  expect(matches({ a: "x".repeat(10_000) })).toBe(false);
});

test("an absent label is an empty one, also if objects have such a name", () => {
  expect(alertTest(parseAlertMatchers('a=""'))({})).toBe(true);
  expect(alertTest(parseAlertMatchers('a!=""'))({})).toBe(false);
  expect(alertTest(parseAlertMatchers('constructor=""'))({})).toBe(true);
  expect(alertTest(parseAlertMatchers('a!~"b|c"'))({})).toBe(true);
  expect(alertTest([])({})).toBe(true);
});
