// The view of one layer: what every head is nearest to.
import { post, standing } from "./api.js";
import { cards } from "./cards.js";
import { question } from "./compare.js";
import { h, label, parsed } from "./dom.js";
import { folded, meaning, partsOf, stepsOf, TABLES } from "./explain.js";
import { HUBS, hubsAsk } from "./hubs.js";
import { count } from "./numbers.js";
import { paged } from "./pages.js";
import { barred, choosable, laidOut, looks } from "./sheets.js";
import { usualAsk, usualRows, usualSays } from "./survey.js";
import { whyAsk, whySays } from "./why.js";

export const controls = ["layer", "head", "space", "vector", "metric", "reference", "position", "candidates", "mask", "hubs", "teach", "compare"];

const SIDES = { z: "what its heads write", q: "its heads’ queries", k: "its heads’ keys", v: "its heads’ values" };

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
  const worked = more.find((one) => one.mix);
  const why = more.find((one) => one.sources && one !== worked);
  const usual = more.find((one) => one.survey);
  const comparison = given.other ? given : null;
  const answer = comparison ? given.one : given;
  const own = answer.tokens[answer.selected];
  const others = comparison?.other.notes.filter((note) => !answer.notes.includes(note)) ?? [];
  const sheets = laidOut(given);
  return {
    title: [`Layer ${answer.layer}: ${SIDES[answer.vector]} at `, label(own.label), ` (position ${own.position})`],
    name: `${own.label} · layer ${answer.layer}`,
    notes: [...answer.notes.map((note) => ["Note ", note]), ...others.map((note) => ["Note on the right side ", note]), ...(background?.notes ?? []).map((note) => ["Note ", note])],
    figures: {
      ...cards(given, answer, state, server, tokens),
      neighbors: neighbors(sheets, background, state.head, usual),
      suppressed: sheets("suppressed").map((one) => barred(choosable(looks(one, "whole"), state.head))),
      why: why ? [looks(barred(laidOut(why)("why")[0]), "sources"), ...meaning(whySays(why))] : [],
      // Made by the server, with everything of the text and the vocabulary escaped.
      worked: worked ? parsed(worked.html) : [],
      positions: positions(sheets, answer, state, server),
    },
    steps: stepsOf("heads", partsOf(answer, server)),
  };
}

/** The first table, with how the heads usually behave under their names; and what it means. */
function neighbors(sheets, background, head, usual) {
  const [versus] = sheets("comparison");
  const [table, kind, told] = versus
    ? [versus, "versus", meaning(TABLES.versus)]
    : background
      ? [laidOut(background)("hub-aware")[0], "versus hubs", [folded(HUBS)]] // what it means stands in its legend
      : [sheets("neighbors")[0], "", meaning(TABLES.neighbors)];
  table.querySelector("thead").append(...usualRows(usual, kind ? 2 : 1));
  return [barred(choosable(looks(table, `${kind} whole`), head)), ...usualSays(usual), ...told];
}

/** The second table; the rest of a long text is asked for when the button under it is pressed. */
function positions(sheets, answer, state, server) {
  const shown = (one) => [...one("positions").map((table) => barred(choosable(looks(table, "whole"), state.head))), ...meaning(TABLES.positions)];
  const whole = h("div", {}, shown(sheets));
  const length = answer.tokens.length;
  if (answer.heads[0].positions.length === length) return [whole];
  const more = h("button", { type: "button", class: "quiet" }, `Show all ${count(length)} positions`);
  more.addEventListener("click", async () => {
    const [, asked] = question({ ...state, compare: "none" }, server);
    const signal = standing();
    const answer = await post("nearest", { ...asked, positions: null }, signal).catch((fault) => { if (!signal.aborted) throw fault; });
    if (answer) whole.replaceChildren(...shown(laidOut(answer)));
    paged(whole);
  });
  whole.querySelector(".hs-sheet").append(more);
  return [whole];
}
