// The view of all heads in numbers: a table that can be sorted, with what each is near to beside what it matters.
import { post, said, standing } from "./api.js";
import { asking, read } from "./choices.js";
import { button, h, label } from "./dom.js";
import { meaning, TABLES } from "./explain.js";
import { count } from "./numbers.js";
import { bars, beside, laidOut, looks } from "./sheets.js";

const BY = { zero: "zeros", mean: "its mean over the text" };
const asked = new Map(); // effects by question: an answer, or why there is none
let by = "zero"; // what was asked for last
let order = { by: "head", down: false };

/** The heads in numbers, and what they mix. */
export const questions = (state) => [["glance", { ...read(state), html: true }], ["mixing", { ...read(state), token: state.token, by_head: true, html: true }]];

/** What is asked once the table stands: what every head is nearest to at the selected token, under the reference that stands where none is chosen. */
export const later = (state, server) => ["atlas", { ...asking(["token", "space", "metric", "position", "candidates"], state, server), by_head: true }];

/** The answers as a title, notes and figures; `again` shows the view anew. */
export function paint([glance, mixing], state, server, tokens, atlas, again) {
  const own = tokens[state.token];
  const effects = asked.get(key(state, server));
  const answers = [glance, mixing, atlas, effects].filter((one) => one?.html);
  const [says, terms] = TABLES.glance;
  const where = `${state.space}, ${state.metric}${atlas?.reference ? ` (reference ${atlas.reference})` : ""}`;
  return {
    title: ["Every head in numbers, with what it is near to and what it matters at ", label(own.label), ` (position ${own.position})`],
    noted: [glance, atlas, effects],
    figures: { glance: [request(state, server, effects, again), table(answers), ...meaning([says.replace("{where}", where), terms])] },
  };
}

const key = (state, { weights_sha256 }) => JSON.stringify([weights_sha256, read(state), state.token, by]);

/** The buttons that ask for the effects, and what came of it. */
function request(state, server, effects, again) {
  const runs = server.layers * server.heads + 1;
  const working = `The model reads the text ${count(runs)} times …`;
  const told = effects?.heads ? `Effects: z replaced by ${BY[by]}.` : effects?.error ?? "What a head is near to need not matter: the effects of putting out each head tell.";
  const says = h("p", { class: "says", role: "status" }, effects?.pending ? working : told);
  const work = async ({ target }) => {
    by = target.dataset.by;
    for (const one of target.parentElement.querySelectorAll("button")) one.ariaDisabled = "true"; // disabled, it would lose the focus
    says.textContent = working;
    const which = key(state, server);
    if (!asked.get(which)?.heads) {
      asked.set(which, { pending: true });
      const signal = standing();
      asked.set(which, await post("effects", { ...read(state), token: state.token, replaced_by: by, by_head: true, html: true }, signal).catch((fault) => ({ error: said(fault) })));
      if (signal.aborted) return asked.delete(which); // another view was asked for
    }
    again();
  };
  const buttons = Object.entries(BY).map(([kind, name]) => button(`Effects by ${name}`, (event) => event.target.ariaDisabled === "true" || work(event), { class: "", "data-by": kind, "aria-disabled": String(Boolean(effects?.pending)) }));
  return h("div", { class: "request" }, buttons, says);
}

let kept = {}; // the columns that no token changes, and what they were made of

/** The columns of all answers side by side; those of the first stay where they are as long as it is the same. */
function table([glance, ...more]) {
  if (kept.html !== glance.html) {
    kept = { html: glance.html, sheet: looks(laidOut(glance)()[0], "glance") };
    named(kept.sheet.querySelectorAll("th, td"));
    kept.own = [...kept.sheet.querySelectorAll("[data-sort]")].map(({ dataset }) => dataset.sort);
    kept.sheet.querySelector("thead").addEventListener("click", ({ target }) => {
      const { sort: by } = target.closest("button")?.dataset ?? {};
      if (!by) return;
      kept.sheet.rest();
      order = { by, down: by === order.by ? !order.down : by !== "head" && by !== "near" };
      sort(kept.sheet);
    });
  }
  const far = (row) => kept.own.includes(order.by) && row.getBoundingClientRect().top > innerHeight && !row.contains(document.activeElement);
  named(beside(kept.sheet, more.map((one) => looks(laidOut(one)()[0], "glance")), far));
  sort(kept.sheet);
  return kept.sheet;
}

/** Gives cells their bars, makes titles buttons that sort, and a head's name one that leads to it. */
function named(cells) {
  bars(cells);
  for (const cell of cells) {
    const { measure = "head", layer, head } = cell.dataset;
    const as = (more, ...says) => cell.replaceChildren(h("button", { type: "button", class: "head", ...more }, ...says));
    if (cell.closest("thead")) {
      as({ "data-sort": measure, title: cell.title || "by layer and head" }, [...cell.childNodes], h("span", { class: "order", "aria-hidden": "true" }));
      cell.removeAttribute("title");
    } else if (cell.matches("th")) {
      as({ tabindex: "-1", "data-layer": layer, "data-head": head, "aria-label": `Layer ${layer} head ${head}: show it` }, cell.textContent);
    } else { // of a head the button alone is marked and pressed
      for (const which of ["layer", "head"]) delete cell.dataset[which];
      cell.tabIndex = -1;
    }
  }
}

/** Puts the rows into their order: heads as they come, tokens by their labels, numbers by their size; what has none is last. */
function sort(sheet) {
  const titles = [...sheet.querySelectorAll("[data-sort]")];
  const there = titles.findIndex(({ dataset }) => dataset.sort === order.by);
  const [by, down] = there < 0 ? [0, false] : [there, order.down];
  titles.forEach((title, n) => {
    title.querySelector(".order").textContent = n === by ? (down ? " ▼" : " ▲") : "";
    title.parentElement.ariaSort = n !== by ? null : down ? "descending" : "ascending";
  });
  const body = sheet.querySelector("tbody");
  const key = ({ value, label, layer, head }) => (value !== undefined ? Number(value) : label ?? (layer && Number(layer) * body.rows.length + Number(head)));
  const rows = [...body.rows].map((row) => [key(row.cells[by].dataset), row]);
  rows.sort(([a], [b]) => (a === undefined) - (b === undefined) || (down ? -1 : 1) * (typeof a === "string" ? a.localeCompare(b) : a - b) || 0);
  if (rows.some(([, row], n) => row !== body.rows[n])) body.append(...rows.map(([, row]) => row)); // who moves is laid out anew
  for (const button of body.querySelectorAll("button")) button.tabIndex = -1;
  body.querySelector("button").tabIndex = 0;
}
