// The view of what is written where: how near each output of a head is to each token of the text, beside its attention.
import { asking } from "./choices.js";
import { h } from "./dom.js";
import { folded, meaning, TABLES } from "./explain.js";
import { dressed, laidOut } from "./sheets.js";

/** The question, of all heads of the layer, and the matrices of one; none where the text is too long for them. */
export function questions(state, server, tokens) {
  if (tokens.length > server.pattern) return [];
  return [["written", asking(["layer", "space", "reference", "metric", "position", "head"], state, server)]];
}

/** The answer as a title, notes and figures. */
export function paint([answer], state, server, tokens) {
  if (!answer) return { title: [`Layer ${state.layer}: what its heads write where`], figures: { written: [h("p", { class: "says" }, tooLong(server, tokens))] } };
  const [sheets, why, none] = [laidOut(answer), "whose mean Carry is the largest of this layer here", "the first: none has a Carry here"];
  const unchosen = state.head === null ? `Shown is head ${answer.head}, ${answer.heads[answer.head].mean.carry === null ? none : why}; choose another above. ` : "";
  return {
    title: [`Layer ${answer.layer}, head ${answer.head}: what it writes where`],
    figures: { written: [...pictures(sheets, tokens, unchosen), dressed(sheets("within")[0], state.head ?? answer.head), ...meaning(TABLES.within)] },
  };
}

/** Why there are no matrices, or whatever is as large. */
export const tooLong = (server, tokens, what = "matrices") => `Whole ${what} are drawn for texts of up to ${server.pattern} tokens; this one has ${tokens.length}.`;

/** What is written where, beside what was attended, and what it means. */
export const pictures = (sheets, tokens, lead = "") => [h("p", { class: "says" }, lead, TABLES.written[0]), folded(TABLES.written[1]), ...matrices(sheets, tokens)];

/** The two matrices side by side; what is pointed at in one is marked in the other, and told below. */
function matrices(sheets, tokens) {
  const [auc] = sheets("written");
  auc.querySelector(".hs-legend").remove(); // the sentence above says it
  const both = [dressed(auc), dressed(sheets("attended")[0])];
  const bodies = both.map((sheet) => sheet.querySelector("tbody"));
  const told = h("output", { class: "says told" }, HOW);
  const alike = (cell) => bodies.map((body) => body.rows[cell.parentElement.sectionRowIndex].cells[cell.cellIndex]);
  const named = (position) => `${position} ${tokens[position].label}`;
  const words = (cell, place = named) => {
    const [one, other] = alike(cell);
    const hidden = one.dataset.says ? ` (${one.dataset.says})` : "";
    return `osition ${place(cell.parentElement.sectionRowIndex)}, token ${named(cell.cellIndex - 1)}: AUC ${one.textContent}, weight ${other.textContent}${hidden}`;
  };
  for (const cell of bodies.flatMap((body) => [...body.querySelectorAll("td")])) cell.dataset.where = `p${words(cell, String)}`;
  let at = [];
  const mark = (cell) => {
    for (const marked of at) marked.classList.remove("linked");
    at = cell ? alike(cell) : [];
    for (const marked of at) marked.classList.add("linked");
    const said = cell ? `P${words(cell)}` : HOW;
    if (told.textContent !== said) told.textContent = said;
  };
  const pair = h("div", { class: "pair" }, both);
  const cellOf = (target) => target.closest?.("tbody td");
  for (const event of ["pointerover", "focusin"]) pair.addEventListener(event, ({ target }) => mark(cellOf(target)));
  pair.addEventListener("pointerleave", () => mark(pair.contains(document.activeElement) ? cellOf(document.activeElement) : null));
  pair.addEventListener("focusout", () => mark(null));
  return [pair, told];
}

const HOW = "Point at a cell, or move to it with the keys: the same is marked in both matrices.";
