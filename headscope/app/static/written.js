// The view of what is written where: how near each output of a head is to each token of the text, beside its attention.
import { read, referencesOf } from "./choices.js";
import { h } from "./dom.js";
import { folded, meaning, stepsOf, TABLES } from "./explain.js";
import { distance } from "./numbers.js";
import { choosable, grounded, laidOut, looks, tilted } from "./sheets.js";

export const controls = ["layer", "head", "space", "metric", "reference", "position", "mask"];

/** The question, of all heads of the layer, and the matrices of one; none where the text is too long for them. */
export function questions(state, server, tokens) {
  if (tokens.length > server.pattern) return [];
  const { layer, space, metric, position, head } = state;
  const reference = referencesOf(state, server).length ? state.reference : null;
  return [["written", { ...read(state), layer, space, reference, metric, position, head, html: true }]];
}

/** The answer as a title, notes and figures. */
export function paint([answer], state, server, tokens) {
  if (!answer) return without(state, server, tokens);
  const sheets = laidOut(answer);
  const name = `L${answer.layer}H${answer.head}`;
  const unchosen = state.head === null ? `Shown is head ${answer.head}, whose mean Carry is the largest of this layer here; choose another above. ` : "";
  return {
    title: [`Layer ${answer.layer}, head ${answer.head}: what it writes where`],
    name: `${name} · written`,
    notes: answer.notes.map((note) => ["Note ", note]),
    figures: {
      written: [
        ...pictures(sheets, answer, tokens, unchosen),
        within(sheets("within")[0], state.head ?? answer.head),
        ...meaning(TABLES.within),
      ],
    },
    steps: stepsOf("written"),
  };
}

/** Why there are no matrices. */
export const tooLong = (server, tokens) => `Whole matrices are drawn for texts of up to ${server.pattern} tokens; this one has ${tokens.length}.`;

/** What is written where, beside what was attended, and what it means. */
export const pictures = (sheets, answer, tokens, lead = "") => [
  h("p", { class: "says" }, lead, TABLES.written[0]),
  folded(TABLES.written[1]),
  ...matrices(sheets, answer, tokens),
];

function without({ layer }, server, tokens) {
  return { title: [`Layer ${layer}: what its heads write where`], name: "written", notes: [], figures: { written: [h("p", { class: "says" }, tooLong(server, tokens))] }, steps: stepsOf("written") };
}

/** The figures of every head, whose names choose it. */
function within(sheet, head) {
  for (const lead of sheet.querySelectorAll(".hs-lead")) {
    lead.className = "says";
    sheet.append(lead);
  }
  return choosable(looks(sheet, "within"), head);
}

/** The two matrices side by side; what is pointed at in one is marked in the other, and told below. */
function matrices(sheets, { head, heads, visible }, tokens) {
  const [auc] = sheets("written");
  const [weight] = sheets("attended");
  auc.querySelector(".hs-legend").remove(); // the sentence above says it
  const both = [grounded(tilted(looks(auc, "heat pattern")), 0.5, " (by chance)"), grounded(tilted(looks(weight, "heat pattern")))];
  const bodies = both.map((sheet) => sheet.querySelector("tbody"));
  const told = h("output", { class: "says told" }, HOW);
  const { auc: aucs, pattern } = heads[head];
  const named = (position) => `${position} ${tokens[position].label}`;
  const words = (i, j) =>
    `Position ${named(i)}, token ${named(j)}: AUC ${distance(aucs[i][j])}, weight ${distance(pattern[i][j])}${visible[i][j] ? "" : " (hidden by the mask)"}`;
  for (const body of bodies) {
    [...body.rows].forEach((row, i) => [...row.cells].slice(1).forEach((cell, j) => {
      cell.dataset.where = words(i, j).replace(`Position ${named(i)}, t`, `position ${i}, t`);
      cell.classList.toggle("hidden-from", !visible[i][j]);
    }));
  }
  let at = null;
  const mark = (cell) => {
    for (const marked of at ?? []) marked.classList.remove("linked");
    at = cell && bodies.map((body) => body.rows[cell.parentElement.sectionRowIndex].cells[cell.cellIndex]);
    for (const marked of at ?? []) marked.classList.add("linked");
    const said = cell ? words(cell.parentElement.sectionRowIndex, cell.cellIndex - 1) : HOW;
    if (told.textContent !== said) told.textContent = said;
  };
  const pair = h("div", { class: "pair" }, both);
  const cellOf = ({ target }) => target.closest?.("tbody td");
  pair.addEventListener("pointerover", (event) => mark(cellOf(event) ?? null));
  pair.addEventListener("focusin", (event) => mark(cellOf(event) ?? null));
  pair.addEventListener("pointerleave", () => mark(pair.contains(document.activeElement) ? document.activeElement.closest("tbody td") : null));
  pair.addEventListener("focusout", () => mark(null));
  return [pair, told];
}

const HOW = "Point at a cell, or move to it with the keys: the same is marked in both matrices.";
