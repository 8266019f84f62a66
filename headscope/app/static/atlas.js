// The view of one token in every layer and head: a grid for each reference, side by side.
import { byId, h, label } from "./dom.js";
import { read, referencesOf } from "./choices.js";
import { meaning, stepsOf, TABLES } from "./explain.js";
import { laidOut, looks } from "./sheets.js";

export const controls = ["layer", "head", "space", "metric", "position", "candidates", "mask"];

const NAMES = { input: "Reference: input layer", layer: "Reference: each layer’s own", isolated: "Reference: each token alone" };


/** One question for each reference that the space has. */
export function questions(state, server) {
  const { token, space, metric, position, candidates } = state;
  const ask = { ...read(state), token, space, metric, position, candidates, html: true };
  // Reading every token alone takes its time: only where it was asked for.
  const references = referencesOf(state, server).filter((one) => one !== "isolated" || state.reference === "isolated");
  return (references.length ? references : [null]).map((reference) => ["atlas", { ...ask, reference }]);
}

/** What fills the grids with layers as they are found, each in its place; the rest is empty until then. */
export function arriving(server) {
  const grids = [];
  return (found, n, state) => {
    const sheet = looks(laidOut(found)("atlas")[0], "atlas");
    const row = sheet.querySelector("tbody tr");
    finish(row, found.rates, found.cells, found.reference, state);
    if (grids[n]) return grids[n].rows[found.layer].replaceWith(row);
    grids[n] = row.parentElement;
    sheet.querySelector(".hs-key").remove();
    for (let layer = 1; layer < server.layers; layer++) {
      grids[n].append(h("tr", {}, h("th", { scope: "row" }, `L${layer}`), [...row.cells].slice(1).map(() => h("td", {}, "·"))));
    }
    if (grids.filter(Boolean).length === 1) byId("atlas").replaceChildren(h("div", { class: "atlases" }));
    byId("atlas").firstChild.append(sheet);
  };
}

export const title = (own) => ["Every layer and head: the token nearest to what it writes at ", label(own.label), ` (position ${own.position})`];

/** Both answers as a title, notes and figures. */
export function paint(answers, state, server, tokens) {
  const own = tokens[state.token];
  const grids = answers.map((answer) => grid(answer, state));
  const [key] = grids.map((one) => one.querySelector(".hs-key"));
  for (const other of grids.slice(1)) other.querySelector(".hs-key").remove();
  const notes = answers.flatMap((answer) =>
    answer.notes.map((note) => [answers.length > 1 ? `${NAMES[answer.reference]}. ` : "Note ", note]),
  );
  return {
    title: title(own),
    name: `${own.label} · atlas`,
    notes: notes.filter(([, note], n) => notes.findIndex((one) => one[1] === note) === n),
    figures: {
      atlas: [
        h("div", { class: "atlases" }, grids),
        key,
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

/** Layers × heads; every cell a button that leads to its layer and head, and beside a layer what its heads are near to. */
function grid(answer, state) {
  const sheet = looks(laidOut(answer)("atlas")[0], "atlas");
  const rows = [...sheet.querySelectorAll("tbody tr")];
  rows.forEach((row, layer) => finish(row, answer.layers[layer], answer.cells.filter((cell) => cell.layer === layer), answer.reference, state));
  sheet.querySelector("tbody button").tabIndex = 0;
  return sheet;
}

/** A layer's row: its share beside its name, and every cell a button. */
function finish(row, rates, cells, reference, state) {
  row.cells[0].append(...share(rates, cells));
  for (const cell of [...row.cells].slice(1)) square(cell, reference, state);
}

/** How many heads of a layer are nearest to the own token and to others of the text. */
function share(rates, cells) {
  const at = (kind) => cells.filter((cell) => cell.kind === kind).length;
  const says = ` ${at("own")} of ${cells.length} heads nearest to the own token, ${at("text")} to another of the text`;
  const bar = h("span", { class: "rate", title: says, "--first": `${100 * rates.own}%`, "--second": `${100 * (rates.own + rates.text)}%` });
  const counts = h("span", { class: "counts", title: says, "aria-hidden": "true" }, `${at("own") + at("text")}/${cells.length}`);
  return [counts, bar, h("span", { class: "hidden" }, says)];
}

/** A cell whose words are a button, which is about what the cell was about. */
function square(cell, reference, state) {
  const { layer, head, label, says } = cell.dataset;
  const here = Number(layer) === state.layer && Number(head) === state.head;
  const named = `Layer ${layer} head ${head}: ${label}, ${says}, distance ${cell.querySelector(".hs-num").textContent}`;
  const button = h("button", { type: "button", tabindex: "-1", "aria-current": here && "true", "aria-label": named }, [...cell.childNodes]);
  Object.assign(button.dataset, { ...cell.dataset }, reference && { reference });
  for (const name of Object.keys(cell.dataset)) delete cell.dataset[name];
  cell.removeAttribute("tabindex");
  cell.replaceChildren(button);
}
