/** The views: their paths, and how each is loaded. */
import type { ComponentType } from "preact/compat";

export interface PageView {
  readonly path: string;
  /** Whether paths below it are the same view. */
  readonly isPrefix?: boolean;
  /** Whether the navigation omits it. */
  readonly isHidden?: boolean;
  readonly title: string;
  readonly load: () => Promise<{ default: ComponentType }>;
}

export const VIEWS: readonly PageView[] = [
  { path: "/", title: "Overview", load: () => import("./views/overview/overview.tsx") },
];
