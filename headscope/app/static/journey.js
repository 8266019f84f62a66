// The view of the way through the layers: every token's residual stream, stage by stage, and how much the layers mix.
import { post, said, standing } from "./api.js";
import { read } from "./choices.js";
import { bars, lines } from "./curves.js";
import { h, label } from "./dom.js";
import { folded, TABLES } from "./explain.js";
import { dressed, laidOut, looks } from "./sheets.js";

const journeyOf = (state) => ({ ...read(state), position: state.position, isolated: state.isolated, html: true });

/** The questions: both are about the whole text, and laid out at the token, which the server does with what it has at hand. */
export const questions = (state) => [["journey", { ...journeyOf(state), token: state.token }], ["mixing", { ...read(state), token: state.token, html: true }]];

/** Both answers as a title, notes and figures. */
export function paint([journey, mixing], state, server, tokens) {
  const own = journey.tokens[state.token];
  return {
    title: ["Through the layers: what becomes of ", label(own.label), ` (position ${own.position})`],
    figures: {
      journey: [dressed(laidOut(journey)("journey")[0]), plots(lines(journey, own, (measure) => every(measure, state)))],
      mixing: () => [dressed(laidOut(mixing)("mixing_at")[0]), folded(TABLES.mixing[1]), plots(bars(mixing, own))],
    },
  };
}

/** A place for plots, which fills once the module that draws them is there. */
function plots(wanted) {
  const place = h("div", { class: "plots" });
  import("./plot.js").then(({ plot }) => place.replaceChildren(...wanted.map(plot)));
  return place;
}

/** The numbers of a plot, every token's; laid out when they are asked for, since a long text has many. */
const every = (measure, state) => post("journey", journeyOf(state), standing()).then(
  (answer) => looks(laidOut(answer)(measure)[0], "stages every"),
  (fault) => h("p", { class: "banner" }, said(fault)), // where another view was asked for, nobody sees it
);
