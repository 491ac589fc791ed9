/** The lists of tables and columns that replace the engine's own, and their views. */

/** `names` is for SHOW TABLES, `details` for SHOW ALL TABLES. The others are tables of information_schema. */
export type Listing = "tables" | "columns" | "names" | "details";

/** Temporary views of the connection. No metric's table has a space in its name. */
export const LISTING_VIEWS: Readonly<Record<Listing, string>> = {
  tables: "weir tables",
  columns: "weir columns",
  names: "weir names",
  details: "weir details",
};
