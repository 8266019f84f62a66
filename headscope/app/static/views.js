// The views of the page; each has its questions, and how their answers are painted: a figure is elements, or what makes them.
import * as atlas from "./atlas.js";
import * as attention from "./attention.js";
import { asking } from "./choices.js";
import { label } from "./dom.js";
import { server } from "./first.js";
import * as heads from "./heads.js";
import * as journey from "./journey.js";
import * as layers from "./layers.js";
import * as map from "./map.js";
import { dressed, laidOut } from "./sheets.js";
import * as survey from "./survey.js";
import * as written from "./written.js";

const spaced = (name) => (name[0].toUpperCase() + name.slice(1)).replaceAll("_", " ");

/** The view of an offer of the server: its question, and its tables. */
const viewOf = ({ name, choices }) => ({
  questions: (state) => [[name, asking(choices.filter((one) => one in state), state, server)]],
  paint: ([answer], state, _, tokens) => ({
    title: [`${spaced(name)} at `, label(tokens[state.token].label), ` (position ${state.token})`],
    figures: { offered: laidOut(answer)().map((sheet) => dressed(sheet, state.head)) },
  }),
});

/** The views of the page, and of what the server offers beside those. */
export const VIEWS = { heads, atlas, attention, written, journey, layers, map, survey, ...Object.fromEntries(server.offers.map((offer) => [offer.name, viewOf(offer)])) };
