// The view of one token in every layer and head: a grid for each reference, side by side.
import { h, label } from "./dom.js";
import { referencesOf } from "./choices.js";
import { meaning, stepsOf, TABLES } from "./explain.js";
import { key, KINDS, kindSays } from "./kinds.js";
import { distance } from "./numbers.js";
import { scrolled } from "./tables.js";

export const controls = ["layer", "head", "space", "metric", "position", "candidates", "mask"];

const NAMES = { input: "Reference: input layer", layer: "Reference: each layer’s own", isolated: "Reference: each token alone" };


/** One question for each reference that the space has. */
export function questions(state, server) {
  const { text, mask, token, space, metric, position, candidates } = state;
  const ask = { text, mask, token, space, metric, position, candidates };
  // Reading every token alone takes its time: only where it was asked for.
  const references = referencesOf(state, server).filter((one) => one !== "isolated" || state.reference === "isolated");
  return (references.length ? references : [null]).map((reference) => ["atlas", { ...ask, reference }]);
}

/** Both answers as a title, notes and figures. */
export function paint(answers, state, server, tokens) {
  const own = tokens[state.token];
  const notes = answers.flatMap((answer) =>
    answer.notes.map((note) => [answers.length > 1 ? `${NAMES[answer.reference]}. ` : "Note ", note]),
  );
  return {
    title: ["Every layer and head: the token nearest to what it writes at ", label(own.label), ` (position ${own.position})`],
    name: `${own.label} · atlas`,
    notes: notes.filter(([, note], n) => notes.findIndex((one) => one[1] === note) === n),
    figures: {
      atlas: [
        h("div", { class: "atlases" }, answers.map((answer) => h("div", {}, grid(answer, state)))),
        key(),
        h("p", { class: "says found" }, found(answers)),
        ...meaning(TABLES.atlas),
      ],
    },
    steps: stepsOf("atlas"),
  };
}

/** How many heads above layer 0 are nearest to a token of the text, under each reference. */
function found(answers) {
  const told = answers.map(({ cells, reference }) => {
    const above = cells.filter(({ layer }) => layer > 0);
    const own = above.filter(({ kind }) => kind === "own" || kind === "text").length;
    return `${own} of ${above.length}${NAMES[reference] ? ` (${NAMES[reference][0].toLowerCase()}${NAMES[reference].slice(1)})` : ""}`;
  });
  return `Heads above layer 0 that are nearest to the own or another token of the text: ${told.join(", ")}.`;
}

/** Layers × heads; every cell a button that leads to its layer and head. */
export function grid(answer, state) {
  const rows = answer.layers.map(({ layer }) => answer.cells.filter((cell) => cell.layer === layer));
  const name = NAMES[answer.reference] ?? `Space: ${answer.space}`;
  const top = h("tr", {}, h("td", {}, h("span", { class: "axes" }, "layer ↓ head →")), rows[0].map(({ head }) => h("th", { scope: "col" }, head)));
  const body = rows.map((cells, n) => h("tr", {}, rowHead(answer.layers[n], cells), cells.map((cell) => square(cell, answer, state))));
  return scrolled(name, { columns: rows[0].length, top, rows: body, kind: "atlas" });
}

/** A layer, and how many of its heads are nearest to the own token and to others of the text. */
function rowHead(rates, cells) {
  const at = (kind) => cells.filter((cell) => cell.kind === kind).length;
  const says = `layer ${rates.layer}: ${at("own")} of ${cells.length} heads nearest to the own token, ${at("text")} to another of the text`;
  const bar = h("span", { class: "rate", "--first": `${100 * rates.own}%`, "--second": `${100 * (rates.own + rates.text)}%` });
  const counts = h("span", { class: "counts", "aria-hidden": "true" }, `${at("own") + at("text")}/${cells.length}`);
  return h("th", { scope: "row", title: says }, h("span", { class: "number" }, rates.layer), counts, bar, h("span", { class: "hidden" }, says));
}

function square(cell, answer, state) {
  const where = `L${cell.layer}H${cell.head}, ${kindSays(cell)}, distance ${cell.distance?.toPrecision(5) ?? "not finite"}`;
  const here = cell.layer === state.layer && cell.head === state.head;
  return h(
    "td",
    { class: cell.kind },
    h(
      "button",
      {
        type: "button",
        tabindex: "-1",
        "aria-current": here && "true",
        "aria-label": `Layer ${cell.layer} head ${cell.head}: ${cell.label}, ${kindSays(cell)}, distance ${distance(cell.distance)}`,
        "data-id": cell.id,
        "data-label": cell.label,
        "data-layer": cell.layer,
        "data-head": cell.head,
        "data-reference": answer.reference,
        "data-where": where,
      },
      h("span", { class: "sign" }, KINDS[cell.kind][0]),
      label(cell.label),
    ),
  );
}
