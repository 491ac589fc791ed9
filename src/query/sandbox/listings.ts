/** The lists of tables and columns that stand in the place of the engine's own, and the views that hold them. */

/** `names` is what SHOW TABLES gives, `details` SHOW ALL TABLES, the others are those of information_schema. */
export type Listing = "tables" | "columns" | "names" | "details";

/** Temporary views of the connection. No metric's table has a space in its name. */
export const LISTING_VIEWS: Readonly<Record<Listing, string>> = {
  tables: "weir tables",
  columns: "weir columns",
  names: "weir names",
  details: "weir details",
};
