/** Matchers of silences, as a person writes them. */
import { expect, test } from "bun:test";
import { matchersOf, matchersText, parseMatchers } from "../../../../src/ui/views/alerts/rules-answer.ts";

test("matchers are read with and without quotation marks, and written with them", () => {
  const text = 'alertname=High, instance=~"gpu-.*",job!="a,\\"b", x!~y';
  const matchers = parseMatchers(text)!;
  expect(matchers).toEqual([
    { name: "alertname", value: "High", isRegex: false, isEqual: true },
    { name: "instance", value: "gpu-.*", isRegex: true, isEqual: true },
    { name: "job", value: 'a,"b', isRegex: false, isEqual: false },
    { name: "x", value: "y", isRegex: true, isEqual: false },
  ]);
  expect(parseMatchers(matchersText(matchers))).toEqual(matchers);
});

test("a text that is no matcher is none", () => {
  for (const text of ["", "alertname", "a==b c", '="x"', "a=b,,"])
    expect(parseMatchers(text)).toBeUndefined();
});

test("the labels of an alert select it alone", () => {
  expect(matchersText(matchersOf({ alertname: "A", job: "b" }))).toBe('alertname="A", job="b"');
});
