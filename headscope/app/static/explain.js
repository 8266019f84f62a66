// What each control and table means: one plain sentence, and its formula.
import { closed, otherReference, spaceOf } from "./choices.js";
import { h } from "./dom.js";
import { WORDS } from "./first.js"; // sentences and formulas are data (words.json)

/** What stands under each table: a sentence, and what the numbers are. */
export const TABLES = WORDS.tables;

/** What is compared, and the reasons of the choices that are closed. */
function compareSays(state, server) {
  const why = closed(state, server);
  const [says, terms] = WORDS.compare[state.compare];
  const shut = Object.entries(WORDS.names.compare).filter(([choice]) => why[choice]).map(([choice, name]) => `“${name}”: ${why[choice]}`);
  const now = why[state.compare] ? "There is nothing to compare." : says.replace("{other}", WORDS.names.reference[otherReference(state)]);
  return [`${now}${shut.length ? ` Closed here: ${shut.join("; ")}.` : ""}`, terms];
}

/** Whether the position switch has a meaning. */
export const positionsOpen = (state, server) => state.reference !== "isolated" && spaceOf(state, server).moves;

/** The sentence and the formula of a control, as it stands: of the control itself, or of what is chosen. */
export function meant(name, state, server) {
  if (name === "compare") return compareSays(state, server);
  if (name === "given") return WORDS.given[state.ids !== null ? "ids" : state.chat ? "chat" : "text"];
  if (name === "vector" && !spaceOf(state, server).vectors.includes(state.vector)) return WORDS.vector.z;
  return Array.isArray(WORDS[name]) ? WORDS[name] : (WORDS[name][state[name]] ?? [`${state[name]}.`, "–"]).slice(-2);
}

/** A sentence, and its formula folded away. */
export const meaning = ([sentence, terms]) => [h("p", { class: "says" }, sentence), folded(terms)];

/** A formula, folded away. */
export const folded = (terms) => h("details", {}, h("summary", {}, "Formula"), h("p", { class: "formula" }, formula(terms)));

/** A formula in which _x and ^x are set low and high. */
export function formula(text) {
  const tags = { _: "sub", "^": "sup" };
  const parts = text.split(/([_^][\p{L}\p{N}]+)/u);
  return h("span", { class: "math" }, parts.map((part) => (tags[part[0]] ? h(tags[part[0]], {}, part.slice(1)) : part)));
}
