/** The route of the description of the API. It needs no token, like the routes of the page: which routes exist is no secret. */
import { type Route, Routes } from "../routes.ts";
import { openApiDocument } from "./openapi-document.ts";

interface OpenApiOptions {
  /** Every route of the gateway, also this one. */
  readonly all: () => readonly Route[];
  readonly version: string;
}

export const openApiRoutes = ({ all, version }: OpenApiOptions): Routes =>
  new Routes().on("GET", "/api/v1/openapi.json", "none", "describes the routes in OpenAPI", () =>
    Response.json(openApiDocument(all(), version)),
  );
