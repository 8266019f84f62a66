// The view of one layer: what every head is nearest to.
import { question } from "./compare.js";
import { h, label } from "./dom.js";
import { steps, TABLES, meaning } from "./explain.js";
import { hubsAsk, hubsMeaning, hubsTable } from "./hubs.js";
import { key } from "./kinds.js";
import { usualAsk, usualRow, usualSays } from "./survey.js";
import { neighborTable, positionTable, suppressedTable } from "./tables.js";
import { versusTable } from "./versus.js";
import { whyAsk, whySays, whyTable } from "./why.js";

export const controls = ["layer", "space", "vector", "metric", "reference", "position", "candidates", "mask", "hubs", "compare"];

const SIDES = {
  z: (heads) => `what its ${heads} heads write`,
  q: (heads) => `the queries of its ${heads} heads`,
  k: (heads) => `the keys of its ${heads} heads`,
  v: (heads) => `the values of its ${heads} heads`,
};

/** The question of the tables; where a neighbour is chosen, why it is near; and how the heads usually behave. */
export function questions(state, server) {
  const [route, asked] = question(state, server);
  const why = route === "nearest" && asked.vector === "z" ? whyAsk(asked, state.why) : null;
  return [[route, asked], why && ["why", why], usualAsk(asked, server)].filter(Boolean);
}

/** What is asked once the tables stand: it takes longer, and fills them in. */
export const later = (state, server) => hubsAsk(state, server);

/** The answer as a title, notes and figures; `background` is what was asked later, if it is there. */
export function paint([given, ...more], state, server, tokens, background = null) {
  const why = more.find((one) => one.sources);
  const usual = more.find((one) => one.survey);
  const comparison = given.other ? given : null;
  const answer = comparison ? given.one : given;
  const own = answer.tokens[answer.selected];
  const others = comparison?.other.notes.filter((note) => !answer.notes.includes(note)) ?? [];
  const [table, told] = neighbors(answer, comparison, background, usual, state.head);
  return {
    title: [`Layer ${answer.layer}: ${SIDES[answer.vector](answer.heads.length)} at `, label(own.label), ` (position ${own.position})`],
    name: `${own.label} · layer ${answer.layer}`,
    notes: [...answer.notes.map((note) => ["Note ", note]), ...others.map((note) => ["Note on the right side ", note]), ...(background?.notes ?? []).map((note) => ["Note ", note])],
    figures: {
      neighbors: [...table, ...usualSays(usual), key(), ...meaning(told)],
      suppressed: !comparison && answer.heads[0].suppressed ? suppressedTable(answer, state.head) : [],
      why: why ? [whyTable(why), ...meaning(whySays(why))] : [],
      positions: positions(answer, state.head),
    },
    steps: steps(answer, server),
  };
}

/** The first table, and what it means. */
function neighbors(answer, comparison, background, usual, head) {
  if (comparison) return [versusTable(comparison, head, usualRow(usual, 2)), TABLES.versus];
  if (background) return [hubsTable(answer, background, head, usualRow(usual, 2)), hubsMeaning(background)];
  return [neighborTable(answer, head, usualRow(usual)), TABLES.neighbors];
}

/** The second table; of a long text all positions are drawn when the button under it is pressed. */
function positions(answer, head) {
  const whole = h("div", {}, positionTable(answer, head), meaning(TABLES.positions));
  whole.querySelector("button.quiet")?.addEventListener("click", () => {
    whole.replaceChildren(...positionTable(answer, head, true), ...meaning(TABLES.positions));
  });
  return [whole];
}
