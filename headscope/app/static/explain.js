// What each control and table means: one plain sentence, its formula, and the method told with the reader's own example.
import { moves, vectorsOf } from "./choices.js";
import { compareSays } from "./compare.js";
import { byId, h, label } from "./dom.js";
import { count, distance, tiny } from "./numbers.js";

// Sentences and formulas are data (words.json), sent with the page.
export const WORDS = JSON.parse(byId("first").textContent).words;

/** What a choice of a control is called. */
export const NAMES = { ...WORDS.names, space: Object.fromEntries(Object.entries(WORDS.space).map(([value, [name]]) => [value, name])) };

/** What stands under each table: a sentence, and what the numbers are. */
export const TABLES = WORDS.tables;

const untold = (value) => [`${value}.`, "–"];

/** What a space is, and which are closed for this model. */
function spaceSays({ space }, server) {
  const [, says, terms] = WORDS.space[space] ?? [null, ...untold(space)];
  const shut = server.choices.space.filter(({ closed }) => closed);
  const why = shut.map(({ value, closed }) => ` “${NAMES.space[value] ?? value}” is closed: ${closed.split(" Open:")[0]}`).join("");
  return [says + why, terms];
}

/** Whether the position switch has a meaning. */
export const positionsOpen = (state, server) => state.reference !== "isolated" && moves(state, server);

/** For each control, its sentence and its formula, as it stands. */
export function sentences(state, server) {
  return {
    view: WORDS.view[state.view],
    given: WORDS.given[state.ids !== null ? "ids" : state.chat ? "chat" : "text"],
    layer: WORDS.layer,
    head: WORDS.head,
    space: spaceSays(state, server),
    vector: WORDS.vector[vectorsOf(state, server).includes(state.vector) ? state.vector : "z"],
    weigh: WORDS.weigh[state.weigh],
    metric: WORDS.metric[state.metric] ?? untold(state.metric),
    reference: [server.references[state.reference], WORDS.reference[state.reference]],
    position: WORDS.position[state.position ? "on" : "off"],
    candidates: WORDS.candidates[state.candidates],
    mask: state.mask === "model" ? WORDS.own_mask[server.causal ? "causal" : "full"] : WORDS.mask[state.mask],
    method: WORDS.method[state.method],
    hubs: WORDS.hubs[state.hubs ? "on" : "off"],
    teach: WORDS.teach,
    classroom: WORDS.classroom,
    isolated: WORDS.isolated,
    sample: WORDS.sample,
    compare: [compareSays(state, server), "overlap = |A ∩ B| / k, moved = rank_B − rank_A"],
  };
}

/** A sentence, and its formula folded away. */
export const meaning = ([sentence, terms]) => [h("p", { class: "says" }, sentence), folded(terms)];

/** A formula, folded away. */
export const folded = (terms) => h("details", {}, h("summary", {}, "Formula"), h("p", { class: "formula" }, formula(terms)));

/** A formula in which _x and ^x are set low and high. */
export function formula(text) {
  const tags = { _: "sub", "^": "sup" };
  const parts = text.split(/([_^][\p{L}\p{N}]+)/u);
  return h("span", { class: "math" }, parts.map((part) => (tags[part[0]] ? h(tags[part[0]], {}, part.slice(1)) : part)));
}

const step = (title, ...body) => h("li", {}, h("h3", {}, title), h("p", {}, ...body));

/** How to read a view, in steps. In braces stands a formula, in brackets a part of this answer; a step is left out whose part is. */
export function stepsOf(view, parts = {}) {
  const part = (text) => (text[0] === "{" ? formula(text.slice(1, -1)) : text[0] === "[" ? parts[text.slice(1, -1)] : text);
  const told = WORDS.steps[view].map(([title, body]) => [title, ...body.split(/(\{[^}]+\}|\[\w+\])/).map(part)]);
  return h("ol", {}, told.filter((one) => !one.includes(undefined)).map((one) => step(...one)));
}

/** The parts of the method on Heads: the numbers of this answer, by the head that ranks the own token best. */
export function partsOf({ layer, space, metric, reference, use_position: placed, tokens, selected, heads }, server) {
  const better = (a, b) => b.own.rank && (!a.own.rank || b.own.rank < a.own.rank);
  const { head, own, neighbors: [nearest], positions } = heads.reduce((a, b) => (better(a, b) ? b : a));
  const other = positions.find((one) => one.position !== selected);
  const through = reference === "input" ? 0 : layer;
  return {
    token: label(tokens[selected].label), id: tokens[selected].id, position: selected, layer, metric,
    n_tokens: count(tokens.length), n_heads: heads.length, d_head: server.d_head, vocabulary: count(server.vocab_size),
    other_space: space === "value" ? undefined : NAMES.space[space] ?? space,
    alone_in: reference === "isolated" ? layer : undefined,
    placed_in: reference !== "isolated" && placed ? through : undefined,
    unplaced_in: reference !== "isolated" && !placed ? through : undefined,
    best: head, nearest: label(nearest.label), nearest_distance: distance(nearest.distance),
    rank: own.rank ? count(own.rank) : undefined, nearer: count(own.rank - 1), own_distance: distance(own.distance),
    unranked: own.rank ? undefined : label(tokens[selected].label),
    other: other?.position, other_token: other && label(other.label), other_distance: other && distance(other.distance),
    capture_error: tiny(server.capture_error),
  };
}
