// The view of one layer: what every head is nearest to.
import { question } from "./compare.js";
import { h, label } from "./dom.js";
import { steps, TABLES, meaning } from "./explain.js";
import { key } from "./kinds.js";
import { neighborTable, positionTable } from "./tables.js";
import { versusTable } from "./versus.js";

export const controls = ["layer", "space", "metric", "reference", "position", "candidates", "mask", "compare"];

export const questions = (state, server) => [question(state, server)];

/** The answer as a title, notes and figures. */
export function paint([given], state, server) {
  const comparison = given.other ? given : null;
  const answer = comparison ? given.one : given;
  const own = answer.tokens[answer.selected];
  const others = comparison?.other.notes.filter((note) => !answer.notes.includes(note)) ?? [];
  const table = comparison ? versusTable(comparison, state.head) : neighborTable(answer, state.head);
  return {
    title: [`Layer ${answer.layer}: what its ${answer.heads.length} heads write at `, label(own.label), ` (position ${own.position})`],
    name: `${own.label} · layer ${answer.layer}`,
    notes: [...answer.notes.map((note) => ["Note ", note]), ...others.map((note) => ["Note on the right side ", note])],
    figures: {
      neighbors: [...table, key(), ...meaning(TABLES[comparison ? "versus" : "neighbors"])],
      positions: positions(answer, state.head),
    },
    steps: steps(answer, server),
  };
}

/** The second table; of a long text all positions are drawn when the button under it is pressed. */
function positions(answer, head) {
  const whole = h("div", {}, positionTable(answer, head), meaning(TABLES.positions));
  whole.querySelector("button.quiet")?.addEventListener("click", () => {
    whole.replaceChildren(...positionTable(answer, head, true), ...meaning(TABLES.positions));
  });
  return [whole];
}
