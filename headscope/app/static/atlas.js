// The view of one token in every layer and head: one grid, and a switch of what encodes the vocabulary.
import { button, byId, fill, h, label } from "./dom.js";
import { asking, spaceOf } from "./choices.js";
import { meaning, TABLES } from "./explain.js";
import { markChosen } from "./marks.js";
import { laidOut, looks } from "./sheets.js";

export const keeps = true; // what was asked is not asked again: the basis is flipped with both answers at hand

const ASKED = ["token", "space", "metric", "position", "candidates"];
let wanted = false; // chance, where it takes long
const drawn = new WeakMap(); // an answer's tables, beside chance once it has come
const bases = h("div", { class: "bases" }); // the grid of every basis; what is not shown stays laid out, so that a flip is one repaint
let making = 0; // the timer of the grids that are not shown
const BY = { layer: "each layer", input: "layer 0", isolated: "each token alone" };

/** The references that are asked, the one that is shown first. Reading every token alone takes its time: only where it was asked for. */
function asked(state, server) {
  const open = spaceOf(state, server).references.filter((one) => one !== "isolated" || state.reference === "isolated");
  return open.toSorted((one, other) => (other === state.reference) - (one === state.reference));
}

/** One question for each reference that the space has, so that the switch finds its answer made. */
export function questions(state, server) {
  const ask = asking(ASKED, state, server);
  const references = asked(state, server);
  return (references.length ? references : [null]).map((reference) => ["atlas", { ...ask, reference }]);
}

/** What is asked once the grid stands: what chance gives beside the shares of the basis that is shown. */
export function later(state, server) {
  const [[route, ask]] = questions(state, server);
  return server.chances || wanted ? [route, { ...ask, chance: true }] : null;
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
  return (found, n) => {
    if (n) return; // it is for the switch
    const sheet = looks(laidOut(found)("atlas")[0], "atlas");
    const row = sheet.querySelector("tbody tr");
    finish(row, found.rates, found.reference);
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

/** The answer that is chosen as a title, notes and a grid; the others say what the basis changes, `held` what chance gives. */
export function paint(answers, state, server, tokens, held, again) {
  const own = tokens[state.token];
  const shown = held ?? answers[0];
  const ask = held || server.chances ? [] : [button("Beside chance: what other texts would give", () => { wanted = true; again(); })];
  const notes = answers[0].notes.map((note) => h("p", { class: "says" }, h("strong", {}, "Note "), note));
  const [, ...below] = draw(shown);
  drawn.set(answers[0], draw(shown));
  const inTurn = answers.toSorted((one, other) => (one.reference < other.reference ? -1 : 1)); // whichever is shown
  put(inTurn.filter((one) => drawn.has(one)), answers[0]);
  clearTimeout(making);
  making = setTimeout(() => {
    put(inTurn, answers[0]);
    markChosen(bases, state);
    for (const grid of bases.children) grid.firstChild.getBoundingClientRect(); // laid out now, not when it is flipped to
  }, 200);
  return {
    title: title(own),
    noted: [], // above the grid they would move it when the basis is flipped
    figures: { atlas: [h("p", { class: "says found" }, found(answers)), bases, ...notes, ...meaning(TABLES.atlas), ...below, ...ask] },
  };
}

/** How many heads above layer 0 are nearest to a token of the text, by each basis, and what changes between them. */
function found(answers) {
  const above = answers.map(({ cells }) => cells.filter(({ layer }) => layer > 0));
  const near = above.map((cells) => cells.filter(({ kind }) => kind === "own" || kind === "text").length);
  const by = answers.map(({ reference }, n) => `${near[n]} of ${above[n].length}${BY[reference] ? ` (encoded by ${BY[reference]})` : ""}`);
  const first = `Heads above layer 0 that are nearest to the own or another token of this text: ${by.join(", ")}.`;
  if (answers.length < 2) return first;
  const changed = above[0].filter(({ id }, n) => above.some((by) => by[n].id !== id)).length;
  return `${first} ${changed ? `Between the ${above.length > 2 ? "three" : "two"}, ${changed} have another nearest token.` : `The basis changes nothing here: every head has the same nearest token ${above.length > 2 ? "with all three" : "either way"}.`}`;
}

/** Layers × heads, every cell a button that leads to its layer and head; and below it what the heads of each layer are near to. */
function draw(answer) {
  if (drawn.has(answer)) return drawn.get(answer);
  const sheets = laidOut(answer)().map((sheet) => looks(sheet, sheet.dataset.sheet));
  [...sheets[0].querySelectorAll("tbody tr")].forEach((row, layer) => finish(row, answer.layers[layer], answer.reference));
  sheets[0].querySelector("tbody button").tabIndex = 0;
  return drawn.set(answer, sheets).get(answer);
}

/** The grids of answers at their place, of which one is shown. */
function put(answers, shown) {
  fill(bases, answers.map((answer) => draw(answer)[0]));
  for (const answer of answers) draw(answer)[0].classList.toggle("spare", answer !== shown);
}

/** A layer's row: its share as a bar, and every cell a button, which is about what the cell was about. */
function finish(row, { own, text }, reference) {
  row.cells[0].append(h("span", { class: "rate", "--first": `${100 * own}%`, "--second": `${100 * (own + text)}%` }));
  for (const cell of [...row.cells].slice(1)) {
    const { layer, head, label, says } = cell.dataset;
    const named = `Layer ${layer} head ${head}: ${label}, ${says}, distance ${cell.querySelector(".hs-num").textContent}`;
    const square = h("button", { type: "button", tabindex: "-1", "aria-label": named }, [...cell.childNodes]);
    Object.assign(square.dataset, { ...cell.dataset }, reference && { reference });
    for (const name of Object.keys(cell.dataset)) delete cell.dataset[name];
    cell.removeAttribute("tabindex");
    cell.replaceChildren(square);
  }
}
