/** A panel of text: the usual marks of Markdown. HTML is shown as the text in it. */
import type { ComponentChildren } from "preact";
import { textOf } from "../grafana/loose-json.ts";
import type { PanelModel } from "../grafana/panel-model.ts";
import { filled, type VariableValues } from "../grafana/template-text.ts";

export function TextPanel({
  panel,
  values,
}: {
  readonly panel: PanelModel;
  readonly values: VariableValues;
}) {
  const content = filled(textOf(panel.options.content), values, "text");
  const text = panel.options.mode === "html" ? textOfHtml(content) : content;
  return <div class="markdown">{blocksOf(text)}</div>;
}

/** A parsed document runs no scripts and loads nothing. */
function textOfHtml(html: string): string {
  return new DOMParser().parseFromString(html, "text/html").body.textContent ?? "";
}

function blocksOf(text: string): ComponentChildren[] {
  return text
    .replaceAll("\r\n", "\n")
    .split(/\n{2,}/)
    .map((block, index) => {
      const lines = block.split("\n").filter((line) => line.trim() !== "");
      const heading = /^(#{1,6})\s+(.*)$/.exec(lines[0] ?? "");
      if (heading !== null)
        return (
          <div key={index}>
            <p class="markdown-heading">{spansOf(heading[2]!)}</p>
            {lines.length > 1 ? <p>{spansOf(lines.slice(1).join("\n"))}</p> : null}
          </div>
        );
      if (lines.length > 0 && lines.every((line) => /^\s*[-*+]\s/.test(line)))
        return (
          <ul key={index}>
            {lines.map((line, at) => (
              <li key={at}>{spansOf(line.replace(/^\s*[-*+]\s+/, ""))}</li>
            ))}
          </ul>
        );
      return <p key={index}>{spansOf(lines.join("\n"))}</p>;
    });
}

const SPANS = /`([^`]+)`|\*\*([^*]+)\*\*|\*([^*]+)\*|\[([^\]]+)\]\(([^)\s]+)\)/g;

function spansOf(text: string): ComponentChildren[] {
  const parts: ComponentChildren[] = [];
  let end = 0;
  for (const match of text.matchAll(SPANS)) {
    const [whole, code, strong, emphasis, title, address] = match;
    parts.push(text.slice(end, match.index));
    end = match.index + whole.length;
    const key = match.index;
    if (code !== undefined) parts.push(<code key={key}>{code}</code>);
    else if (strong !== undefined) parts.push(<strong key={key}>{strong}</strong>);
    else if (emphasis !== undefined) parts.push(<em key={key}>{emphasis}</em>);
    else
      parts.push(
        isSafe(address!) ? (
          <a key={key} href={address}>
            {title}
          </a>
        ) : (
          title!
        ),
      );
  }
  parts.push(text.slice(end));
  return parts;
}

/** Whether an address is one of this page or of the web, and no script. */
export function isSafe(address: string): boolean {
  return /^(?:https?:\/\/|\/(?!\/)|#|\?)/.test(address);
}
