// The view of attention: what every head of a layer mixes at the token, and one head's whole pattern.
import { asking } from "./choices.js";
import { h, label } from "./dom.js";
import { meaning, TABLES } from "./explain.js";
import { dressed, laidOut } from "./sheets.js";
import { tooLong } from "./written.js";

/** The question: the selected token's sources, and the pattern of the chosen head where the text is short enough. */
export function questions(state, server, tokens) {
  return [["attention", { ...asking(["token", "layer", "weigh"], state, server), head: tokens.length <= server.pattern ? state.head : null }]];
}

/** The answer as a title, notes and figures. */
export function paint([answer], state, server, tokens) {
  const own = tokens[state.token];
  const sheets = laidOut(answer);
  const [pattern] = sheets("pattern");
  if (pattern) pattern.dataset.head = answer.pattern.head;
  return {
    title: [`Layer ${answer.layer}: where its ${answer.heads.length} heads look from `, label(own.label), ` (position ${own.position})`],
    figures: {
      attention: [dressed(sheets("attention")[0], state.head), ...meaning(TABLES[answer.weigh])],
      pattern: () => pattern ? [dressed(pattern), ...meaning(TABLES.pattern)] : [h("p", { class: "says" }, tokens.length > server.pattern ? tooLong(server, tokens, "patterns") : "Choose a head at the top of a column to see its whole pattern: every query with every source.")],
    },
  };
}
