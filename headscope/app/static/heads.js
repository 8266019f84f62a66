// The view of one layer: what every head is nearest to.
import { cards } from "./cards.js";
import { hubsOpen, question, read } from "./choices.js";
import { button, label, parsed } from "./dom.js";
import { folded, meaning, TABLES } from "./explain.js";
import { count } from "./numbers.js";
import { dressed, laidOut } from "./sheets.js";
import { usualAsk, usualRows, usualSays } from "./survey.js";

let whole = null; // the text of which all positions are listed
const key = (state) => JSON.stringify(read(state));

const SIDES = { z: "what its heads write", q: "its heads’ queries", k: "its heads’ keys", v: "its heads’ values" };

/** How the state names a neighbour: its head and its id. */
export const whyOf = ({ head, id }) => `${head}.${id}`;

/** The question of the tables; where a neighbour is chosen, why it is near; and how the heads usually behave. */
export function questions(state, server) {
  const [route, asked] = question(state, server);
  if (whole === key(state)) asked.positions = null;
  const { other, ...one } = asked;
  const [head, id] = state.why?.split(".").map(Number) ?? [];
  const [chosen, z] = [state.why && { head, id }, asked.vector === "z"];
  const why = z && chosen && route === "nearest" && ["why", { ...asked, ...chosen }];
  const worked = z && state.teach && ["worked", { ...one, head: state.head ?? 0, ...chosen }];
  return [[route, asked], why, worked, usualAsk(asked, server)].filter(Boolean);
}

/** What is asked once the tables stand: it takes longer, and fills them in. */
export const later = (state, server) => (state.hubs && hubsOpen(state, server) ? ["background", question(state, server)[1]] : null);

/** The answer as a title, notes and figures; `background` is what was asked later, if it is there. */
export function paint([given, ...more], state, server, tokens, background, again) {
  const worked = more.find((one) => one.mix);
  const why = more.find((one) => one.sources && one !== worked);
  const usual = more.find((one) => one.survey);
  const answer = given.other ? given.one : given;
  const own = answer.tokens[answer.selected];
  const others = given.other?.notes.filter((note) => !answer.notes.includes(note)).map((note) => `On the right side: ${note}`) ?? [];
  const sheets = laidOut(given);
  return {
    title: [`Layer ${answer.layer}: ${SIDES[answer.vector]} at `, label(own.label), ` (position ${own.position})`],
    noted: [answer, { notes: others }, background],
    figures: {
      ...cards(given, answer, state, server, tokens),
      neighbors: neighbors(sheets, background, state.head, usual),
      suppressed: () => sheets("suppressed").map((one) => dressed(one, state.head)), // made when they are drawn
      why: why ? [dressed(laidOut(why)("why")[0]), ...meaning(TABLES.why[why.metric])] : [],
      // Made by the server, with everything of the text and the vocabulary escaped.
      worked: worked ? parsed(worked.html) : [],
      positions: () => positions(sheets, answer, state, again),
    },
    steps: given.method,
  };
}

/** The first table, with how the heads usually behave under their names; and what it means. */
function neighbors(sheets, background, head, usual) {
  const [versus] = sheets("comparison");
  const [table, wide, told] = versus
    ? [versus, 2, meaning(TABLES.versus)]
    : background
      ? [laidOut(background)("hub-aware")[0], 2, [folded(TABLES["hub-aware"][1])]] // what it means stands in its legend
      : [sheets("neighbors")[0], 1, meaning(TABLES.neighbors)];
  table.querySelector("thead").append(...usualRows(usual, wide));
  return [dressed(table, head), ...usualSays(usual), ...told];
}

/** The second table; the rest of a long text is asked for when the button under it is pressed. */
function positions(sheets, answer, state, again) {
  const tables = sheets("positions").map((table) => dressed(table, state.head));
  if (answer.heads[0].positions.length < answer.tokens.length) tables[0].append(button(`Show all ${count(answer.tokens.length)} positions`, () => { whole = key(state); again(); }));
  return [...tables, ...meaning(TABLES.positions)];
}
