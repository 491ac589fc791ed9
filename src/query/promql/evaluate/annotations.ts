/**
 * Warnings and infos of a result, each once, in upstream's words. The API returns them as `warnings` and `infos`.
 */
import type { Span } from "../parse/ast.ts";
import { positionIn } from "../parse/check-types.ts";
import { formatDecimal, quoteText } from "../promql-text.ts";

/** Further annotations are dropped, because they would repeat what these say. */
const KEPT_MAX = 10;

export class Annotations {
  readonly #text: string;
  readonly #warnings = new Set<string>();
  readonly #infos = new Set<string>();

  constructor(text: string) {
    this.#text = text;
  }

  get warnings(): string[] {
    return [...this.#warnings];
  }

  get infos(): string[] {
    return [...this.#infos];
  }

  quantileOutOfRange(quantile: number, span: Span): void {
    this.#warn(`quantile value should be between 0 and 1, got ${formatDecimal(quantile)}`, span);
  }

  badBucketLabel(value: string, metric: string, span: Span): void {
    const of = metric === "" ? "" : ` for metric name ${quoteText(metric)}`;
    this.#warn(`bucket label "le" is missing or has a malformed value of ${quoteText(value)}${of}`, span);
  }

  sortIneffective(span: Span): void {
    this.#warn("sort is ineffective for range queries since results are always ordered by labels", span);
  }

  possibleNonCounter(metric: string, span: Span): void {
    this.#inform(
      `metric might not be a counter, name does not end in _total/_sum/_count/_bucket: ${quoteText(metric)}`,
      span,
    );
  }

  forcedMonotonicity(metric: string, span: Span): void {
    const of = metric === "" ? "" : ` for metric name ${quoteText(metric)}`;
    this.#inform(
      "input to histogram_quantile needed to be fixed for monotonicity " +
        `(see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)${of}`,
      span,
    );
  }

  #warn(message: string, span: Span): void {
    if (this.#warnings.size < KEPT_MAX)
      this.#warnings.add(`PromQL warning: ${message} (${this.#position(span)})`);
  }

  #inform(message: string, span: Span): void {
    if (this.#infos.size < KEPT_MAX) this.#infos.add(`PromQL info: ${message} (${this.#position(span)})`);
  }

  #position(span: Span): string {
    return positionIn(this.#text, span.from);
  }
}
