/** The variables of a dashboard, as fields. */
import { useState } from "preact/hooks";
import { ALL, chosenText, type ResolvedVariable, toggled, type VariableChoice } from "./grafana/variables.ts";

interface VariableBarProps {
  readonly variables: readonly ResolvedVariable[];
  readonly onChange: (name: string, values: readonly string[]) => void;
}

/** More are found by typing a part of them. */
const CHOICES_MAX = 200;

export function VariableBar({ variables, onChange }: VariableBarProps) {
  const shown = variables.filter(({ model }) => !model.isHidden);
  return (
    <>
      {shown.map((variable) => (
        <span key={variable.model.name} class="variable">
          <Field variable={variable} onChange={(values) => onChange(variable.model.name, values)} />
          {variable.error === undefined ? null : (
            <span class="bad note" role="alert">
              {variable.error}
            </span>
          )}
        </span>
      ))}
    </>
  );
}

interface FieldProps {
  readonly variable: ResolvedVariable;
  readonly onChange: (values: readonly string[]) => void;
}

function Field({ variable, onChange }: FieldProps) {
  const { model, choices, chosen } = variable;
  const [first = ""] = chosen;
  if (model.isMulti) return <MultipleChoice variable={variable} onChange={onChange} />;
  const label = <span class={model.hasLabel ? "variable-label" : "unseen"}>{model.label}</span>;
  if (model.type === "textbox")
    return (
      <label>
        {label}
        <input type="text" value={first} onChange={(event) => onChange([event.currentTarget.value])} />
      </label>
    );
  const all = model.includesAll ? [{ value: ALL, text: "All" }] : [];
  const known = [...all, ...choices];
  const others =
    known.some(({ value }) => value === first) || first === "" ? [] : [{ value: first, text: first }];
  return (
    <label>
      {label}
      <select value={first} onChange={(event) => onChange([event.currentTarget.value])}>
        {[...others, ...known].map(({ value, text }) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

/** A list of boxes below a button. */
function MultipleChoice({ variable, onChange }: FieldProps) {
  const { model, choices, chosen } = variable;
  const [part, setPart] = useState("");
  const all: readonly VariableChoice[] = model.includesAll ? [{ value: ALL, text: "All" }] : [];
  const matching = choices.filter(({ text }) => text.toLowerCase().includes(part.toLowerCase()));
  return (
    <details
      class="choice"
      onKeyDown={(event) => {
        if (event.key === "Escape") event.currentTarget.open = false;
      }}
      onFocusOut={(event) => {
        const next = event.relatedTarget;
        if (next instanceof Node && !event.currentTarget.contains(next)) event.currentTarget.open = false;
      }}
    >
      <summary>
        <span class={model.hasLabel ? "variable-label" : "unseen"}>{model.label}</span>
        <span class="chosen">{chosenText(variable)}</span>
      </summary>
      <fieldset class="choices">
        <legend class="unseen">{model.label}</legend>
        {choices.length > 10 ? (
          <input
            type="search"
            aria-label={`Find in ${model.label}`}
            placeholder="Find"
            value={part}
            onInput={(event) => setPart(event.currentTarget.value)}
          />
        ) : null}
        {[...(part === "" ? all : []), ...matching.slice(0, CHOICES_MAX)].map(({ value, text }) => (
          <label key={value}>
            <input
              type="checkbox"
              checked={chosen.includes(value)}
              onChange={() => onChange(toggled(variable, value))}
            />{" "}
            {text}
          </label>
        ))}
        {matching.length > CHOICES_MAX ? (
          <p class="note">{matching.length - CHOICES_MAX} more: type a part of the name.</p>
        ) : null}
        {choices.length === 0 ? <p class="note">There is no value in this range.</p> : null}
      </fieldset>
    </details>
  );
}
