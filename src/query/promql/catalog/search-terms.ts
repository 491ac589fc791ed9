/**
 * How well a name matches what somebody typed, between 0 and 1, as Prometheus's search API counts it
 * (https://github.com/prometheus/proposals, proposal 74). Pure. Characters are code points.
 *
 * - `subsequence`: the characters of the term occur in the name in their order. Runs of them raise the score, and gaps lower
 *   it.
 * - `jarowinkler`: the term is a part of the name, or their Jaro-Winkler similarity is large enough.
 *
 * A name that begins with the term has the score 1 in both.
 */

export const FUZZY_ALGORITHMS = ["subsequence", "jarowinkler"] as const;
export type FuzzyAlgorithm = (typeof FUZZY_ALGORITHMS)[number];

export interface SearchTerms {
  /** A name is accepted if any of them matches. None accepts every name. */
  readonly terms: readonly string[];
  readonly algorithm: FuzzyAlgorithm;
  /** The least score, between 0 and 1. With 0, `jarowinkler` accepts only parts of names. */
  readonly threshold: number;
  readonly isCaseSensitive: boolean;
}

/** The score of a name; undefined if it is not accepted. */
export type ScoreName = (name: string) => number | undefined;

/**
 * The part of a name that is compared character by character. The time for that grows with the product of both lengths, and
 * values of labels can have thousands of characters.
 */
const COMPARED_LENGTH_MAX = 512;

/** The score of a name that contains the term, but does not begin with it. */
const CONTAINS_SCORE = 0.9;
/** How much each common character at the begin counts in Winkler's variant, and how many count. */
const PREFIX_WEIGHT = 0.1;
const PREFIX_LENGTH_MAX = 4;

/** Characters by index: a text without surrogates, or its code points. */
type Characters = string | readonly string[];

export function nameScorer({ terms, algorithm, threshold, isCaseSensitive }: SearchTerms): ScoreName {
  const spelled = (text: string) => (isCaseSensitive ? text : text.toLowerCase());
  const scorers = terms.map((term) => termScorer(spelled(term), algorithm, threshold));
  if (scorers.length === 0) return () => 1;
  return (name) => {
    const text = spelled(name);
    let best: number | undefined;
    for (const score of scorers) {
      const found = score(text);
      if (found !== undefined && (best === undefined || found > best)) best = found;
    }
    return best;
  };
}

/** How much the score of a name costs, in steps of a walk over series: see Slices. */
export function stepsOf({ terms }: Pick<SearchTerms, "terms">): number {
  // To compare one character with a long name takes about as long as a series.
  return terms.reduce((sum, { length }) => sum + length, 0);
}

function termScorer(term: string, algorithm: FuzzyAlgorithm, threshold: number): ScoreName {
  if (term === "") return () => 1;
  const asPoints = charactersOf(term);
  if (algorithm === "subsequence") {
    return (text) => {
      if (text.startsWith(term)) return 1;
      const score = subsequenceScore(asPoints, compared(text));
      return score > 0 && score >= threshold ? score : undefined;
    };
  }
  return (text) => {
    if (text.startsWith(term)) return 1;
    if (text.includes(term)) return CONTAINS_SCORE;
    if (threshold === 0) return undefined;
    const score = jaroWinklerScore(asPoints, compared(text));
    return score >= threshold ? score : undefined;
  };
}

function compared(text: string): Characters {
  return charactersOf(text.length > COMPARED_LENGTH_MAX ? text.slice(0, COMPARED_LENGTH_MAX) : text);
}

function charactersOf(text: string): Characters {
  return /[\ud800-\udfff]/.test(text) ? Array.from(text) : text;
}

/**
 * The best score over all places where the term can begin: the sum of the squares of its runs, less the gaps in parts of the
 * text's length, of which the one at the end counts half. Divided by the square of the term's length. 0 if it does not
 * occur.
 */
export function subsequenceScore(term: Characters, text: Characters): number {
  let best = -1;
  const lastBegin = text.length - term.length;
  for (let begin = indexOf(text, term[0]!, 0); begin >= 0 && begin <= lastBegin; ) {
    const score = scoreFrom(begin, term, text);
    // A later begin has even less of the text.
    if (score === undefined) break;
    best = Math.max(best, score);
    begin = indexOf(text, term[0]!, begin + 1);
  }
  return best < 0 ? 0 : best / (term.length * term.length);
}

function scoreFrom(begin: number, term: Characters, text: Characters): number | undefined {
  const part = 1 / text.length;
  let score = 0;
  let matched = 0;
  let end = 0;
  for (let at = begin; matched < term.length; ) {
    at = indexOf(text, term[matched]!, at);
    if (at < 0) return undefined;
    const gap = at - end;
    const from = at;
    while (matched < term.length && at < text.length && text[at] === term[matched]) {
      at++;
      matched++;
    }
    score -= gap * part;
    score += (at - from) * (at - from);
    end = at;
  }
  return score - (text.length - end) * part * 0.5;
}

function indexOf(text: Characters, character: string, from: number): number {
  return text.indexOf(character, from);
}

/** The Jaro similarity of two texts, raised by the characters that both begin with. */
export function jaroWinklerScore(a: Characters, b: Characters): number {
  const [short, long] = a.length <= b.length ? [a, b] : [b, a];
  if (short.length === 0) return long.length === 0 ? 1 : 0;
  const reach = Math.max(Math.floor(long.length / 2) - 1, 0);
  const isTaken = new Uint8Array(long.length);
  /** The characters of the shorter text that the longer one has near the same place, in order. */
  const common: string[] = [];
  for (let at = 0; at < short.length; at++) {
    const last = Math.min(at + reach, long.length - 1);
    for (let other = Math.max(at - reach, 0); other <= last; other++) {
      if (isTaken[other] === 1 || short[at] !== long[other]) continue;
      isTaken[other] = 1;
      common.push(short[at]!);
      break;
    }
  }
  if (common.length === 0) return 0;
  let displaced = 0;
  let at = 0;
  for (let other = 0; other < long.length; other++) {
    if (isTaken[other] === 1 && long[other] !== common[at++]) displaced++;
  }
  const count = common.length;
  const jaro = (count / short.length + count / long.length + (count - displaced / 2) / count) / 3;
  let prefix = 0;
  while (prefix < Math.min(PREFIX_LENGTH_MAX, short.length) && short[prefix] === long[prefix]) prefix++;
  return jaro + prefix * PREFIX_WEIGHT * (1 - jaro);
}
