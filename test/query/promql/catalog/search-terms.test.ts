/** Scores of names. The expected values are worked out by hand from the formula in search-terms.ts. */
import { describe, expect, test } from "bun:test";
import { BestNames } from "../../../../src/query/promql/catalog/best-names.ts";
import {
  jaroWinklerScore,
  nameScorer,
  type SearchTerms,
  subsequenceScore,
} from "../../../../src/query/promql/catalog/search-terms.ts";

const scorer = (terms: readonly string[], options: Partial<SearchTerms> = {}) =>
  nameScorer({ terms, algorithm: "subsequence", threshold: 0, isCaseSensitive: true, ...options });

describe("the score of a subsequence", () => {
  test.each([
    // Runs "p" and "m" of one character, a gap of 2 between them and 6 at the end, of 10: 2 - 0.2 - 0.3, of 4.
    ["pm", "prometheus", (2 - 0.2 - 0.3) / 4],
    // One run of 4 after 3 others, and 3 at the end: 16 - 0.3 - 0.15, of 16.
    ["meth", "prometheus", (16 - 0.3 - 0.15) / 16],
    // The second "ab" is one run, so it is better than to begin with the first "a".
    ["ab", "acab", (4 - 2 / 4) / 4],
    ["abc", "abc", 9 / 9],
    ["xyz", "prometheus", 0],
    ["ba", "ab", 0],
    ["abc", "ab", 0],
  ])("of %p in %p is %p", (term, text, score) => {
    expect(subsequenceScore(term, text)).toBeCloseTo(score, 12);
  });

  test("is 0 if the gaps are larger than the runs", () => {
    // Two runs of one character, and gaps of the whole length: 1 - 1 - 0, and so on.
    expect(subsequenceScore("ab", `a${"x".repeat(98)}b`)).toBeCloseTo((2 - 0.98) / 4, 12);
  });
});

describe("the similarity of Jaro and Winkler", () => {
  test.each([
    // The examples of Winkler's paper.
    ["MARTHA", "MARHTA", 0.9611],
    ["DIXON", "DICKSONX", 0.8133],
    ["DWAYNE", "DUANE", 0.84],
    ["same", "same", 1],
    ["abc", "xyz", 0],
  ])("of %p and %p is %p", (a, b, score) => {
    expect(jaroWinklerScore(a, b)).toBeCloseTo(score, 4);
    expect(jaroWinklerScore(b, a)).toBeCloseTo(score, 4);
  });
});

describe("a name", () => {
  test("that begins with the term has the score 1, also at the highest threshold", () => {
    expect(scorer(["prom"], { threshold: 1 })("prometheus")).toBe(1);
    expect(scorer(["prom"], { threshold: 1 })("my_prometheus")).toBeUndefined();
  });

  test("has the best score of several terms, and needs only one", () => {
    const score = scorer(["xyz", "meth", "prom"]);
    expect(score("prometheus")).toBe(1);
    expect(score("a_meth")).toBeCloseTo((16 - 2 / 6) / 16, 12);
    expect(score("none")).toBeUndefined();
  });

  test("is accepted without a term, and by an empty one", () => {
    expect(scorer([])("up")).toBe(1);
    expect(scorer([""])("up")).toBe(1);
  });

  test("is compared by case, unless the search ignores it", () => {
    expect(scorer(["PROM"])("prometheus")).toBeUndefined();
    expect(scorer(["PROM"], { isCaseSensitive: false })("Prometheus")).toBe(1);
  });

  test("matches jarowinkler by a part of it, and by similarity only with a threshold", () => {
    const part = scorer(["meth"], { algorithm: "jarowinkler" });
    expect(part("prometheus")).toBe(0.9);
    expect(part("promtheus")).toBeUndefined();
    const similar = scorer(["MARTHA"], { algorithm: "jarowinkler", threshold: 0.8 });
    expect(similar("MARHTA")).toBeCloseTo(0.9611, 4);
    expect(similar("abcdef")).toBeUndefined();
  });

  test("has code points as characters, so that half of one does not match", () => {
    expect(scorer(["\u{1f600}"])("a\u{1f600}")).toBeCloseTo((1 - 1 / 2) / 1, 12);
    expect(scorer(["\ud83d"])("a\u{1f600}")).toBeUndefined();
  });

  test("is compared in bounded time, however long it is", () => {
    // Beyond the compared part a term is found only if the name begins with it or contains it.
    expect(scorer(["xy"])(`${"a".repeat(600)}xy`)).toBeUndefined();
    expect(scorer(["xy"], { algorithm: "jarowinkler" })(`${"a".repeat(600)}xy`)).toBe(0.9);
  });
});

describe("the best names", () => {
  const names = ["b", "d", "a", "c", "e"];
  const best = (order: "ascending" | "descending" | "score", most: number, score = scorer([])) => {
    const found = new BestNames(score, order, most);
    for (const name of [...names, ...names]) if (!found.has(name)) found.add(name);
    return found.list().map(({ name }) => name);
  };

  test("are the first by name, each once, also if further ones come", () => {
    expect(best("ascending", 3)).toEqual(["a", "b", "c"]);
    expect(best("descending", 3)).toEqual(["e", "d", "c"]);
    expect(best("ascending", 10)).toEqual(["a", "b", "c", "d", "e"]);
  });

  test("are those with the highest score, and of equal ones the first by name", () => {
    const scores: Record<string, number> = { a: 0.1, b: 0.9, c: 0.9, d: 0.5 };
    expect(best("score", 3, (name) => scores[name])).toEqual(["b", "c", "d"]);
  });

  test("are right in any order of arrival", () => {
    const many = Array.from({ length: 2_000 }, (_, index) =>
      String((index * 7_919) % 2_000).padStart(4, "0"),
    );
    const found = new BestNames(scorer([]), "ascending", 50);
    for (const name of many) found.add(name);
    expect(found.list().map(({ name }) => name)).toEqual(many.toSorted().slice(0, 50));
  });
});
