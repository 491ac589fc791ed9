/** The settings of the page for people, a part of the table in settings.ts. */
import type { Setting } from "./settings.ts";

export const PAGE_SETTINGS = {
  dashboards: {
    type: { is: "names" },
    default: [],
    what: "Folder of dashboards for the page: files of Grafana (`*.json`), and of Weir's own format (`*.toml`), also in the folders below it (src/dashboards/README.md). Changes are shown within a second. Can be given more than once.",
    why: "Only you know what should be seen together. The dashboards that come with Weir are always there.",
  },
} as const satisfies Record<string, Setting>;
