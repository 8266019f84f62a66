// The view of attention: what every head of a layer mixes at the token, and one head's whole pattern.
import { read } from "./choices.js";
import { h, label } from "./dom.js";
import { meaning, stepsOf, TABLES } from "./explain.js";
import { choosable, grounded, laidOut, looks, tilted } from "./sheets.js";

export const controls = ["layer", "head", "weigh", "mask"];

/** The question: the selected token's sources, and the pattern of the chosen head where the text is short enough. */
export function questions(state, server, tokens) {
  const { token, layer, weigh, head } = state;
  const short = tokens.length <= server.pattern;
  return [["attention", { ...read(state), token, layer, weigh, head: short ? head : null, html: true }]];
}

/** The answer as a title, notes and figures. */
export function paint([answer], state, server, tokens) {
  const own = tokens[state.token];
  const sheets = laidOut(answer);
  const [sources] = sheets("attention");
  return {
    title: [`Layer ${answer.layer}: where its ${answer.heads.length} heads look from `, label(own.label), ` (position ${own.position})`],
    name: `${own.label} · attention of layer ${answer.layer}`,
    notes: answer.notes.map((note) => ["Note ", note]),
    figures: {
      attention: [grounded(choosable(looks(sources, "heat"), state.head)), ...meaning(TABLES[answer.weigh])],
      pattern: answer.pattern ? pattern(sheets("pattern")[0], answer.pattern.head) : [h("p", { class: "says" }, without(server, tokens))],
    },
    steps: stepsOf("attention"),
  };
}

/** Why no whole pattern is there. */
const without = (server, tokens) =>
  tokens.length > server.pattern
    ? `Whole patterns are drawn for texts of up to ${server.pattern} tokens; this one has ${tokens.length}.`
    : "Choose a head at the top of a column to see its whole pattern: every query with every source.";

/** Queries × sources of one head, the sources’ names on their sides. */
function pattern(sheet, head) {
  sheet.dataset.head = head;
  return [grounded(tilted(looks(sheet, "heat pattern"))), ...meaning(TABLES.pattern)];
}
