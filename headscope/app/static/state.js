// The view as one plain object, and as an address that shows it again.
import { VIEWS } from "./views.js";

/** What this browser remembers; it may refuse to, and then a choice lasts as long as the page. */
export const kept = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
export const keep = (name, value) => { try { localStorage.setItem(name, value); } catch { /* see above */ } };

/** Which choices there are: the server's, and those of the page itself. */
const open = ({ choices }) => ({
  ...choices,
  space: choices.space.filter(({ closed }) => !closed).map(({ value }) => value),
  compare: ["none", "reference", "full", "causal", "text", "model"],
  view: Object.keys(VIEWS),
});

/** The view that is shown where nothing else is asked for. */
export const initial = ({ text, token, reference }) => ({
  view: "heads",
  text,
  chat: false,
  system: null,
  pair: null,
  special: true,
  ids: null,
  mask: "model",
  token,
  layer: 0,
  head: null,
  space: "value",
  metric: "cosine",
  reference,
  position: true,
  candidates: "all",
  hubs: false,
  teach: false,
  compare: "none",
  other_text: null,
  other_model: null,
  weigh: "weights",
  vector: "z",
  why: null,
  word: null,
  method: "tsne",
  into: null,
  size: 2000,
  map_at: null,
  map_k: 10,
  seed: 0,
  perplexity: 30,
  isolated: false,
  classroom: false,
});

/** The view that an address asks for; what it does not say, or says wrongly, is as in `initial`. */
export function fromAddress(search, start, server) {
  const asked = new URLSearchParams(search);
  const state = { ...start, classroom: kept("classroom") === "true" };
  for (const name of ["text", "system", "pair", "into", "word", "other_text", "other_model"]) if (asked.get(name)?.trim()) state[name] = asked.get(name).trim();
  for (const name of ["token", "layer", "head", "size", "map_at", "map_k", "seed"]) {
    if (/^\d{1,10}$/.test(asked.get(name) ?? "")) state[name] = Number(asked.get(name));
  }
  if (/^\d{1,4}(\.\d{1,3})?$/.test(asked.get("perplexity") ?? "")) state.perplexity = Number(asked.get("perplexity"));
  if (/^\d{1,6}\.\d{1,9}$/.test(asked.get("why") ?? "")) state.why = asked.get("why");
  if (/^\d{1,9}(,\d{1,9})*$/.test(asked.get("ids") ?? "")) state.ids = asked.get("ids");
  if (state.head >= server.heads) state.head = null;
  for (const [name, values] of Object.entries(open(server))) {
    if (values.includes(asked.get(name))) state[name] = asked.get(name);
  }
  for (const name of ["chat", "special", "position", "hubs", "teach", "isolated", "classroom"]) {
    if (["true", "false"].includes(asked.get(name))) state[name] = asked.get(name) === "true";
  }
  return state;
}

/** The address of a view: what differs from `initial`, and the model that it was seen with; of its own server's only `named`. */
export function toAddress(state, start, model, named) {
  const changed = Object.keys(start).filter((name) => state[name] !== start[name] && state[name] !== null);
  if (!changed.length && !named) return "./";
  const query = new URLSearchParams(changed.map((name) => [name, String(state[name])]));
  query.set("model", model);
  return `./?${query}`;
}

/** The model that an address was made with, or null. */
export const modelOf = (search) => new URLSearchParams(search).get("model");
