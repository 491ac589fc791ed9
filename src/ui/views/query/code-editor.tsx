/** The editor of PromQL and SQL, with completion. It is loaded with the view of queries only. */
import {
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { sql } from "@codemirror/lang-sql";
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { lintKeymap } from "@codemirror/lint";
import { Compartment, EditorState, type Extension, Prec } from "@codemirror/state";
import { EditorView, keymap, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { PromQLExtension } from "@prometheus-io/codemirror-promql";
import { useEffect, useRef } from "preact/hooks";
import type { QueryLanguage } from "./query-address.ts";
import { DUCKDB } from "./duckdb-dialect.ts";
import { promqlCompletion } from "./promql-completion.ts";
import { sqlSchema } from "./sql-completion.ts";

interface CodeEditorProps {
  readonly label: string;
  readonly language: QueryLanguage;
  readonly text: string;
  /** The editor takes `text` when this changes. In between it has what was typed, which `text` may lag behind. */
  readonly opened: number;
  readonly onChange: (text: string) => void;
  /** Called by Ctrl-Enter, and by Enter in PromQL. */
  readonly onRun: () => void;
}

/** Colours of the page, which follow light and dark. */
const highlight = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword, tags.modifier], color: "var(--code-keyword)" },
  { tag: [tags.function(tags.variableName), tags.typeName], color: "var(--code-function)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--code-string)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--code-number)" },
  { tag: tags.labelName, color: "var(--code-label)" },
  { tag: tags.comment, color: "var(--muted)", fontStyle: "italic" },
  { tag: tags.invalid, textDecoration: "underline wavy var(--bad)" },
]);

const theme = EditorView.theme({
  "&": { fontSize: "0.95rem", backgroundColor: "transparent", color: "inherit" },
  "&.cm-focused": { outline: "none" },
  ".cm-content": { fontFamily: "ui-monospace, monospace", caretColor: "currentColor" },
  ".cm-placeholder": { color: "var(--muted)" },
  ".cm-cursor": { borderLeftColor: "currentColor" },
  ".cm-tooltip": { backgroundColor: "var(--surface)", borderColor: "var(--line)", color: "inherit" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": {
    backgroundColor: "var(--accent)",
    color: "var(--surface)",
  },
  ".cm-completionInfo": { maxWidth: "24rem" },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "color-mix(in srgb, var(--accent) 30%, transparent)",
  },
});

function languageOf(language: QueryLanguage): Extension {
  if (language === "sql") return [sql({ dialect: DUCKDB, upperCaseKeywords: true }), sqlSchema()];
  const promql = new PromQLExtension().setComplete({ completeStrategy: promqlCompletion() });
  return promql.asExtension();
}

export function CodeEditor({ label, language, text, opened, onChange, onRun }: CodeEditorProps) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | undefined>(undefined);
  const calls = useRef({ onChange, onRun });
  calls.current = { onChange, onRun };
  const inLanguage = useRef(new Compartment());

  useEffect(() => {
    const nonce = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? "";
    const run = () => {
      calls.current.onRun();
      return true;
    };
    const editor = new EditorView({
      parent: host.current!,
      state: EditorState.create({
        doc: text,
        extensions: [
          EditorView.cspNonce.of(nonce),
          Prec.highest(
            keymap.of([
              { key: "Mod-Enter", run },
              // A completion that is open takes Enter before.
              { key: "Shift-Enter", run: () => false },
            ]),
          ),
          inLanguage.current.of(languageOf(language)),
          history(),
          indentOnInput(),
          bracketMatching(),
          closeBrackets(),
          autocompletion(),
          keymap.of([
            ...closeBracketsKeymap,
            ...completionKeymap,
            ...(language === "promql" ? [{ key: "Enter", run }] : []),
            ...defaultKeymap,
            ...historyKeymap,
            ...lintKeymap,
          ]),
          placeholder(
            language === "sql"
              ? "SELECT … FROM … (Ctrl-Enter runs it)"
              : "An expression of PromQL (Enter runs it)",
          ),
          syntaxHighlighting(highlight),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ "aria-label": label }),
          theme,
          EditorView.updateListener.of((update) => {
            if (update.docChanged) calls.current.onChange(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = editor;
    return () => editor.destroy();
  }, [language, label]);

  useEffect(() => {
    const editor = view.current;
    if (editor === undefined || editor.state.doc.toString() === text) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: text } });
  }, [opened]);

  return <div ref={host} class="code-editor" />;
}
