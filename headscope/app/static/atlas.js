// The view of one token in every layer and head: one grid, whose basis is a switch that is flipped in place.
import { post, standing } from "./api.js";
import { byId, h, label } from "./dom.js";
import { read, referencesOf } from "./choices.js";
import { meaning, stepsOf, TABLES } from "./explain.js";
import { laidOut, looks } from "./sheets.js";

export const controls = ["layer", "head", "space", "metric", "reference", "position", "candidates", "mask"];

const BASES = { layer: "each layer", input: "layer 0 (the experiment’s)", isolated: "each token alone" };
let kept = { about: null, by: {} }; // the answers at hand: of one question, by the reference that they are of

/** The question under a reference, and its answer where that is at hand. */
function asked(state, reference) {
  const { token, space, metric, position, candidates } = state;
  const ask = { ...read(state), token, space, metric, position, candidates, html: true };
  const about = JSON.stringify(ask);
  if (about !== kept.about) kept = { about, by: {} };
  return ["atlas", { ...ask, reference }, kept.by[reference]];
}

const shown = (state, server) => {
  const references = referencesOf(state, server);
  return references.includes(state.reference) ? state.reference : references[0] && "layer";
};

export const questions = (state, server) => [asked(state, shown(state, server) ?? null)];

/** What fills the grid with layers as they are found, each in its place; the rest is empty until then. */
export function arriving(server) {
  let grid = null;
  return (found, n, state) => {
    const sheet = looks(laidOut(found)("atlas")[0], "atlas");
    const row = sheet.querySelector("tbody tr");
    finish(row, found.rates, found.cells, found.reference, state);
    if (grid) return grid.rows[found.layer].replaceWith(row);
    grid = row.parentElement;
    for (let layer = 1; layer < server.layers; layer++) {
      grid.append(h("tr", {}, h("th", { scope: "row" }, `L${layer}`), [...row.cells].slice(1).map(() => h("td", {}, "·"))));
    }
    byId("atlas").replaceChildren(basis(state, server), sheet);
  };
}

export const title = (own) => ["Every layer and head: the token nearest to what it writes at ", label(own.label), ` (position ${own.position})`];

/** The answer as a title, notes and a grid; the other basis is asked for once it stands, so that the switch is flipped at once. */
export function paint([answer], state, server, tokens) {
  const own = tokens[state.token];
  const says = h("p", { class: "says found" });
  const tell = () => { says.textContent = found(Object.values(kept.by)); };
  kept.by[answer.reference] = answer;
  const others = referencesOf(state, server).filter((one) => one !== "isolated" && !kept.by[one]);
  for (const [route, ask] of others.map((one) => asked(state, one))) {
    const { by } = kept;
    post(route, ask, standing()).then((other) => { by[ask.reference] = other; if (by === kept.by) tell(); }, () => { /* it is asked for again by whoever flips the switch */ });
  }
  tell();
  return {
    title: title(own),
    name: `${own.label} · atlas`,
    notes: [], // they differ with the basis: below the grid, they do not move it
    figures: { atlas: [basis(state, server), grid(answer, state), says, ...answer.notes.map((note) => h("p", { class: "says" }, h("strong", {}, "Note "), note)), ...meaning(TABLES.atlas)] },
    steps: stepsOf("atlas"),
  };
}

/** The switch above the grid: it presses the control of the same name, and so keeps its state with every view's. */
function basis(state, server) {
  const now = shown(state, server);
  const buttons = referencesOf(state, server).map((one) => h("button", { type: "button", "data-basis": one, "aria-pressed": String(one === now) }, BASES[one]));
  const group = h("div", { class: "basis", role: "group", "aria-label": "Encoded by", hidden: !buttons.length }, "Encoded by:", buttons);
  group.addEventListener("click", ({ target }) => {
    if (!target.dataset.basis) return;
    document.querySelector(`[name=reference][value=${target.dataset.basis}]`).click();
    requestAnimationFrame(() => document.querySelector(`[data-basis=${target.dataset.basis}]`)?.focus());
  });
  return group;
}

/** How many heads above layer 0 are nearest to a token of the text by every basis at hand, and what the two bases change. */
function found(answers) {
  const above = answers.map(({ cells }) => cells.filter(({ layer }) => layer > 0));
  if (!above[0].length) return "";
  const near = above.map((cells) => cells.filter(({ kind }) => kind === "own" || kind === "text").length);
  const told = answers.map(({ reference }, n) => `${near[n]} of ${above[n].length}${reference ? ` encoded by ${BASES[reference]}` : ""}`);
  const counts = `Heads above layer 0 whose nearest token is of the text: ${told.join(", ")}.`;
  const [one, other] = ["layer", "input"].map((basis) => answers.findIndex(({ reference }) => reference === basis));
  if (one < 0 || other < 0) return counts;
  const differ = above[one].filter(({ id }, n) => id !== above[other][n].id).length;
  const changed = differ ? `the nearest token is another in ${differ} of ${above[one].length}` : "every head has the same nearest token by both";
  return `${counts} ${near[one] === near[other] ? "The basis changes nothing in how many are of the text" : "The basis changes how many are of the text"}; ${changed}.`;
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
