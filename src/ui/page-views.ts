/** The views: their paths, and how each is loaded. */
import type { ComponentType } from "preact/compat";

export interface PageView {
  readonly path: string;
  /** Whether paths below it are the same view. */
  readonly isPrefix?: boolean;
  /** Whether the navigation omits it. */
  readonly isHidden?: boolean;
  /** The path of the view that the navigation marks instead. */
  readonly partOf?: string;
  readonly title: string;
  /** The scope without which the view shows nothing. The navigation omits it then. */
  readonly scope?: "read" | "sql" | "admin";
  /** Whether it shows what all workers sent. Tokens with labels do not see it. */
  readonly isOfAll?: boolean;
  readonly load: () => Promise<{ default: ComponentType }>;
}

export const VIEWS: readonly PageView[] = [
  { path: "/", title: "Overview", scope: "read", load: () => import("./views/overview/overview.tsx") },
  { path: "/tasks", title: "Tasks", scope: "read", load: () => import("./views/tasks/tasks.tsx") },
  { path: "/query", title: "Query", scope: "read", load: () => import("./views/query/query.tsx") },
  {
    path: "/dashboards",
    title: "Dashboards",
    scope: "read",
    load: () => import("./views/dashboards/dashboard-list.tsx"),
  },
  {
    ...{ path: "/d/", isPrefix: true, isHidden: true, partOf: "/dashboards" },
    title: "Dashboard",
    scope: "read",
    load: () => import("./views/dashboards/dashboard-view.tsx"),
  },
  { path: "/explore", title: "Explore", scope: "sql", load: () => import("./views/explore/explore.tsx") },
  { path: "/alerts", title: "Alerts", scope: "read", load: () => import("./views/alerts/alerts.tsx") },
  { path: "/groups", title: "Groups", scope: "read", load: () => import("./views/groups/groups-view.tsx") },
  {
    path: "/rejected",
    title: "Rejected",
    scope: "read",
    isOfAll: true,
    load: () => import("./views/rejected/rejected-view.tsx"),
  },
  {
    path: "/queries",
    title: "Queries",
    scope: "read",
    load: () => import("./views/queries/queries-view.tsx"),
  },
  { path: "/tokens", title: "Tokens", scope: "admin", load: () => import("./views/tokens/tokens-view.tsx") },
  {
    path: "/settings",
    title: "Settings",
    scope: "read",
    load: () => import("./views/settings/settings-view.tsx"),
  },
];
