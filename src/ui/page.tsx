/** The page of the gateway: it asks the HTTP API, and nothing else. The gateway serves it (src/http/page). */
import "./style/page.css";
import { render } from "preact";
import { Shell } from "./shell.tsx";

const root = document.getElementById("page");
if (root !== null) {
  root.replaceChildren();
  render(<Shell />, root);
}
