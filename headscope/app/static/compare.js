// What a view is compared with: the other side of the question, and which choices would change nothing.

import { read, referencesOf, vectorsOf } from "./choices.js";

const REFERENCE = { input: "Input layer", layer: "This layer", isolated: "Isolated" };

/** How many positions a table lists unasked: a long text has hundreds. */
const FIRST = 20;
const ASKED = ["token", "layer", "space", "metric", "reference", "position", "candidates", "vector"];

const otherReference = ({ reference }) => ({ input: "layer", layer: "input", isolated: "layer" })[reference];
const maskNow = ({ mask }, server) => (mask === "model" ? (server.causal ? "causal" : "full") : mask);

function referenceClosed(state, server) {
  if (!referencesOf(state, server).length) return "this space has no references";
  return state.layer === 0 && state.reference !== "isolated" ? "in layer 0 both references are one" : null;
}

/** For each choice why it is closed, or null: it would show the same answer twice. */
export function closed(state, server) {
  const already = (mask) => (maskNow(state, server) === mask ? `the mask is ${mask} already` : null);
  return {
    none: null,
    reference: referenceClosed(state, server),
    full: already("full"),
    causal: already("causal"),
    text: null,
    model: server.open.length > 1 ? null : "no other model is open; the model’s name above opens one",
  };
}

/** What differs on the other side, as the API names it; null where nothing does. */
function other(state, server) {
  if (state.compare === "none" || closed(state, server)[state.compare]) return null;
  const { other_text: text, other_model: model } = state;
  if (state.compare === "text") return text ? { text } : null;
  // A link opens no model.
  if (state.compare === "model") return server.open.includes(model) ? { model } : null;
  return state.compare === "reference" ? { reference: otherReference(state) } : { mask: state.compare };
}

/** The question that a view asks, and the route that answers it. */
export function question(state, server) {
  const view = { ...read(state), ...Object.fromEntries(ASKED.map((name) => [name, state[name]])), positions: FIRST, html: true };
  if (!vectorsOf(state, server).includes(view.vector)) view.vector = "z";
  if (!referencesOf(state, server).includes(view.reference)) view.reference = null;
  const differs = other(state, server);
  return differs ? ["compare", { ...view, other: differs }] : ["nearest", view];
}

/** What the control says of a choice, with the reasons of those that are closed. */
export function compareSays(state, server) {
  const said = {
    none: "Choose what is to change, and every head shows both answers side by side.",
    reference: `Every head twice: with the reference chosen above, and with “${REFERENCE[otherReference(state)]}”.`,
    full: "Every head twice: under the mask chosen above, and with every token seeing all others.",
    causal: "Every head twice: under the mask chosen above, and with every token seeing itself and those before it.",
    text: "Every head twice: in the text above, and in another text that holds the selected token.",
    model: "Every head twice: by this model, and by another that is open and has the same tokens and as many heads.",
  };
  const names = { reference: "Other reference", full: "Mask full", causal: "Mask causal", model: "Other model" };
  const why = closed(state, server);
  const shut = Object.keys(names).filter((choice) => why[choice]).map((choice) => `“${names[choice]}”: ${why[choice]}`);
  const now = why[state.compare] ? "There is nothing to compare." : said[state.compare];
  return [now, shut.length ? `Closed here: ${shut.join("; ")}.` : ""].join(" ").trim();
}
