// The view of one layer: what every head is nearest to.
import { post, standing } from "./api.js";
import { question } from "./compare.js";
import { h, label } from "./dom.js";
import { meaning, partsOf, stepsOf, TABLES } from "./explain.js";
import { hubsAsk, hubsMeaning, hubsTable } from "./hubs.js";
import { key } from "./kinds.js";
import { usualAsk, usualRow, usualSays } from "./survey.js";
import { neighborTable, positionTable, suppressedTable } from "./tables.js";
import { versusTable } from "./versus.js";
import { whyAsk, whySays, whyTable } from "./why.js";

export const controls = ["layer", "head", "space", "vector", "metric", "reference", "position", "candidates", "mask", "hubs", "teach", "compare"];

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
  const { other, ...one } = asked;
  const worked = state.teach && asked.vector === "z" ? { ...one, head: state.head ?? 0, ...whyAsk({}, state.why) } : null;
  return [[route, asked], why && ["why", why], worked && ["worked", worked], usualAsk(asked, server)].filter(Boolean);
}

/** What is asked once the tables stand: it takes longer, and fills them in. */
export const later = (state, server) => hubsAsk(state, server);
export const laterSays = "Asking other texts …";

/** The answer as a title, notes and figures; `background` is what was asked later, if it is there. */
export function paint([given, ...more], state, server, tokens, background = null) {
  const worked = more.find((one) => one.html);
  const why = more.find((one) => one.sources && one !== worked);
  const usual = more.find((one) => one.survey);
  const comparison = given.other ? given : null;
  const answer = comparison ? given.one : given;
  const own = answer.tokens[answer.selected];
  const others = comparison?.other.notes.filter((note) => !answer.notes.includes(note)) ?? [];
  const [table, told] = neighbors(answer, comparison, background, state.head, usual);
  return {
    title: [`Layer ${answer.layer}: ${SIDES[answer.vector](answer.heads.length)} at `, label(own.label), ` (position ${own.position})`],
    name: `${own.label} · layer ${answer.layer}`,
    notes: [...answer.notes.map((note) => ["Note ", note]), ...others.map((note) => ["Note on the right side ", note]), ...(background?.notes ?? []).map((note) => ["Note ", note])],
    figures: {
      neighbors: [...table, ...usualSays(usual), key(), ...meaning(told)],
      suppressed: !comparison && answer.heads[0].suppressed ? suppressedTable(answer, state.head) : [],
      why: why ? [whyTable(why), ...meaning(whySays(why))] : [],
      // Made by the server, with everything of the text and the vocabulary escaped.
      worked: worked ? [...new DOMParser().parseFromString(worked.html, "text/html").body.children] : [],
      positions: positions(answer, state, server),
    },
    steps: stepsOf("heads", partsOf(answer, server)),
  };
}

/** The first table, and what it means. */
function neighbors(answer, comparison, background, head, usual) {
  if (comparison) return [versusTable(comparison, head, usualRow(usual, 2)), TABLES.versus];
  if (background) return [hubsTable(answer, background, head, usualRow(usual, 2)), hubsMeaning(background)];
  return [neighborTable(answer, head, usualRow(usual)), TABLES.neighbors];
}

/** The second table; the rest of a long text is asked for when the button under it is pressed. */
function positions(answer, state, server) {
  const whole = h("div", {}, positionTable(answer, state.head), meaning(TABLES.positions));
  whole.querySelector("button.quiet")?.addEventListener("click", async () => {
    const [, asked] = question({ ...state, compare: "none" }, server);
    const signal = standing();
    const answer = await post("nearest", { ...asked, positions: null }, signal).catch((fault) => { if (!signal.aborted) throw fault; });
    if (answer) whole.replaceChildren(...positionTable(answer, state.head), ...meaning(TABLES.positions));
  });
  return [whole];
}
