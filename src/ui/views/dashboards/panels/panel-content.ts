/** What each kind of panel gets, to draw it. */
import type { Zone } from "../../../format/times.ts";
import type { ShownField } from "../fields/field-settings.ts";
import type { PanelModel } from "../grafana/panel-model.ts";
import type { PanelAnswer } from "../panel-answers.ts";
import type { ElementSize } from "../seen.ts";

export interface PanelContentProps {
  readonly panel: PanelModel;
  /** The title, with the values of its variables. */
  readonly title: string;
  /** The columns of the transformed frames. */
  readonly fields: readonly ShownField[];
  readonly answer: PanelAnswer;
  readonly size: ElementSize;
  readonly zone: Zone;
  /** Called with the range in milliseconds that was dragged over. */
  readonly onRange: (fromMs: number, toMs: number) => void;
}

/** A colour of a dashboard as one of a text: with enough contrast on a light and on a dark ground. */
export function textColour(colour: string | undefined): string | undefined {
  return colour === undefined ? undefined : `color-mix(in srgb, ${colour} 45%, var(--text))`;
}

/** A colour of a dashboard as the ground of a text. */
export function groundColour(colour: string | undefined): string | undefined {
  return colour === undefined ? undefined : `color-mix(in srgb, ${colour} 28%, var(--surface))`;
}
