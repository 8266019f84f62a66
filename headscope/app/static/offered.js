// A view of an answer that the page has no view of its own for: its tables as the server lays them out.
import { read, referencesOf } from "./choices.js";
import { byId, label } from "./dom.js";
import { stepsOf } from "./explain.js";
import { barred, choosable, laidOut } from "./sheets.js";

const spaced = (name) => (name[0].toUpperCase() + name.slice(1)).replaceAll("_", " ");

const chosen = (names, state) => Object.fromEntries(names.filter((one) => one in state).map((one) => [one, state[one]]));

/** The choices as they stand; where the space has no references, none is asked for. */
const asOpen = (state, server) => ({ ...state, reference: referencesOf(state, server).length ? state.reference : null });

/** The view of an offer of the server: the controls of its choices, its question, and its tables. */
const viewOf = ({ name, choices }) => ({
  title: spaced(name),
  controls: [...choices, "mask"],
  questions: (state, server) => [[name, { ...read(state), ...chosen(choices, asOpen(state, server)), html: true }]],
  paint: ([answer], state, server, tokens) => ({
    title: [`${spaced(name)} at `, label(tokens[state.token].label), ` (position ${state.token})`],
    name: `${tokens[state.token].label} · ${name}`,
    notes: (answer.notes ?? []).map((note) => ["Note ", note]),
    figures: { offered: laidOut(answer)().map((sheet) => choosable(sheet.querySelector("[data-value]") ? barred(sheet) : sheet, state.head)) },
    steps: stepsOf(name),
  }),
});

/** The views of what the server offers beside those that the page knows. */
export const OFFERED = Object.fromEntries(JSON.parse(byId("first").textContent).server.offers.map((offer) => [offer.name, viewOf(offer)]));
