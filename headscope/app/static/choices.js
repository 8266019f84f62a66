// What the server says can be chosen, what is asked with it, and which choices would change nothing.
import { WORDS } from "./first.js";

/** What is read, as the API names it: a text, perhaps with a second one, the messages of a chat, or token ids; and the mask. */
export function read({ text, chat, system, pair, special, ids, mask }) {
  if (ids) return { ids: ids.split(",").map(Number), mask };
  if (chat) return { messages: [...(system ? [{ role: "system", content: system }] : []), { role: "user", content: text }], mask };
  return { text, ...(pair ? { pair } : {}), ...(special ? {} : { special }), mask };
}

/** The chosen space: the `references` it has, what can stand on the head's side (`vectors`), whether positions matter to it (`moves`). */
export const spaceOf = ({ space }, server) => server.choices.space.find(({ value }) => value === space) ?? { references: [], vectors: [], moves: false };

/** What is asked of what is read, laid out: the choices of these names as they stand, where the space is open for them. */
export function asking(names, state, server) {
  const asked = Object.fromEntries(names.map((name) => [name, state[name]]));
  const { references, vectors } = spaceOf(state, server);
  if (names.includes("reference") && !references.includes(state.reference)) asked.reference = null;
  if (names.includes("vector") && !vectors.includes(state.vector)) asked.vector = "z";
  return { ...read(state), ...asked, html: true };
}

/** How many positions a table lists unasked: a long text has hundreds. */
const FIRST = 20;
const ASKED = ["token", "layer", "space", "metric", "reference", "position", "candidates", "vector"];

/** The reference on the other side of a comparison of references. */
export const otherReference = ({ reference }) => (reference === "layer" ? "input" : "layer");

/** Why choices are closed, by name: they would show the same answer twice, or there is nothing to show. */
export function closed(state, server) {
  const { references, layer, already, model, away } = WORDS.closed;
  const mask = state.mask !== "model" ? state.mask : server.causal ? "causal" : "full";
  const one = state.layer === 0 && state.reference !== "isolated" ? layer : null;
  const gone = state.compare === "model" && !server.open.includes(state.other_model) ? away.replace("{model}", state.other_model ?? "the other model") : null;
  return {
    reference: spaceOf(state, server).references.length ? one : references,
    [mask]: already.replace("{mask}", mask),
    model: server.open.length > 1 ? gone : model,
  };
}

/** What differs on the other side, as the API names it; null where nothing does. */
function other(state, server) {
  if (state.compare === "none" || closed(state, server)[state.compare]) return null;
  const { other_text: text, other_model: model } = state;
  if (state.compare === "text" && !text) return null;
  return { text: { text }, model: { model }, reference: { reference: otherReference(state) } }[state.compare] ?? { mask: state.compare };
}

/** The question that a view asks, and the route that answers it. */
export function question(state, server) {
  const view = { ...asking(ASKED, state, server), positions: FIRST };
  const differs = other(state, server);
  return differs ? ["compare", { ...view, other: differs }] : ["nearest", view];
}

/** Whether the bank can be asked: of the outputs of other texts, and not where two answers are compared. */
export function hubsOpen(state, server) {
  const [route, { vector, space, metric }] = question(state, server);
  return route !== "compare" && vector === "z" && !(space === "unembedding" && metric === "euclidean");
}
