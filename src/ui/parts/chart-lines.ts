/** What charts draw. Pure, so that answers can be converted without a chart. */
export interface ChartLine {
  readonly name: string;
  /** One value per time. Null is a gap. */
  readonly values: readonly (number | null)[];
}
