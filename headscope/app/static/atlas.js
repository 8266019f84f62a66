// The view of one token in every layer and head: one grid, and a switch of what encodes the vocabulary.
import { byId, h, label } from "./dom.js";
import { read, referencesOf } from "./choices.js";
import { meaning, stepsOf, TABLES } from "./explain.js";
import { laidOut, looks } from "./sheets.js";

export const controls = ["layer", "head", "space", "metric", "position", "candidates", "mask"];

const BY = { layer: "each layer", input: "layer 0", isolated: "each token alone" };

/** The references that are asked, the one that is shown first. Reading every token alone takes its time: only where it was asked for. */
function asked(state, server) {
  const open = referencesOf(state, server).filter((one) => one !== "isolated" || state.reference === "isolated");
  return open.toSorted((one, other) => (other === state.reference) - (one === state.reference));
}

/** One question for each reference that the space has, so that the switch finds its answer made. */
export function questions(state, server) {
  const { token, space, metric, position, candidates } = state;
  const ask = { ...read(state), token, space, metric, position, candidates, html: true };
  const references = asked(state, server);
  return (references.length ? references : [null]).map((reference) => ["atlas", { ...ask, reference }]);
}

/** Shows the switch where there is something to choose, and nowhere else. */
export function showBasis(state, server) {
  const open = state.view === "atlas" ? asked(state, server) : [];
  byId("basis").hidden = open.length < 2;
  for (const input of byId("basis").querySelectorAll("input")) {
    input.checked = input.value === open[0];
    input.closest("label").hidden = !open.includes(input.value);
  }
}

/** What fills the grid with layers as they are found, each in its place; the rest is empty until then. */
export function arriving(server) {
  let rows = null;
  return (found, n, state) => {
    if (n) return; // it is for the switch
    const sheet = looks(laidOut(found)("atlas")[0], "atlas");
    const row = sheet.querySelector("tbody tr");
    finish(row, found.rates, found.cells, found.reference, state);
    if (rows) return rows[found.layer].replaceWith(row);
    rows = row.parentElement.rows;
    sheet.querySelector(".hs-key").remove();
    for (let layer = 1; layer < server.layers; layer++) {
      row.parentElement.append(h("tr", {}, h("th", { scope: "row" }, `L${layer}`), [...row.cells].slice(1).map(() => h("td", {}, "·"))));
    }
    byId("atlas").replaceChildren(sheet);
  };
}

export const title = (own) => ["Every layer and head: the token nearest to what it writes at ", label(own.label), ` (position ${own.position})`];

/** The answer that is chosen as a title, notes and a grid; the others say what the basis changes. */
export function paint(answers, state, server, tokens) {
  const own = tokens[state.token];
  return {
    title: title(own),
    name: `${own.label} · atlas`,
    notes: [], // above the grid they would move it when the basis is flipped
    figures: {
      atlas: [
        h("p", { class: "says found" }, found(answers)),
        grid(answers[0], state),
        ...answers[0].notes.map((note) => h("p", { class: "says" }, h("strong", {}, "Note "), note)),
        ...meaning(TABLES.atlas),
      ],
    },
    steps: stepsOf("atlas"),
  };
}

/** How many heads above layer 0 are nearest to a token of the text, by each basis, and what changes between them. */
function found(answers) {
  const above = answers.map(({ cells }) => cells.filter(({ layer }) => layer > 0));
  const near = above.map((cells) => cells.filter(({ kind }) => kind === "own" || kind === "text").length);
  const by = answers.map(({ reference }, n) => `${near[n]} of ${above[n].length}${BY[reference] ? ` (encoded by ${BY[reference]})` : ""}`);
  const first = `Heads above layer 0 that are nearest to the own or another token of this text: ${by.join(", ")}.`;
  if (answers.length < 2) return first;
  const changed = above[0].filter(({ id }, n) => id !== above[1][n].id).length;
  return `${first} ${changed ? `Between the two, ${changed} have another nearest token.` : "The basis changes nothing here: every head has the same nearest token either way."}`;
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
