// The view of all heads in numbers: a table that can be sorted, with what each is near to beside what it matters.
import { post, Refused, standing } from "./api.js";
import { h, label } from "./dom.js";
import { meaning, stepsOf } from "./explain.js";
import { KINDS } from "./kinds.js";
import { count, distance, scale } from "./numbers.js";
import { scrolled } from "./tables.js";

export const controls = ["layer", "head", "space", "metric", "position", "candidates", "mask"];

const COLUMNS = {
  entropy: ["Entropy", "of the pattern, in nats: 0 is one position alone"],
  on_own: ["Own", "share of the attention on the own position"],
  on_previous: ["Previous", "share of the attention on the position before"],
  on_special: ["Special", "share of the attention on special tokens"],
  strength: ["‖W_O z‖", "length of what the head writes"],
  weights: ["Mixed, by weights", "how much comes from other positions at the selected token, by bare weights"],
  norms: ["Mixed, by norms", "the same by the length of what the weights let through"],
  near: ["Nearest token", "the vocabulary token that the output at the selected token is nearest to"],
  own_rank: ["Own rank", "where the selected token itself stands among all"],
  moved: ["Moved", "how far the last layer’s output at the selected token moves without the head, beside its own length"],
  kl: ["KL", "how far the model’s distribution there moves, in nats"],
  own_logit: ["Own logit", "what the selected token’s own logit gains"],
};
const BY = { zero: "zeros", mean: "its mean over the text" };
const asked = new Map(); // effects by question: an answer, or why there is none
let by = "zero"; // what was asked for last
let order = { by: "head", down: false };

/** The heads in numbers, and what they mix. */
export const questions = ({ text, mask }) => [["glance", { text, mask }], ["mixing", { text, mask }]];

/** What is asked once the table stands: what every head is nearest to at the selected token, under the reference that stands where none is chosen. */
export const later = ({ text, mask, token, space, metric, position, candidates }) => ["atlas", { text, mask, token, space, metric, position, candidates }];
export const laterSays = "Comparing every head with the vocabulary …";

/** The answers as a title, notes and figures; `again` shows the view anew. */
export function paint([glance, mixing], state, server, tokens, atlas, again) {
  const own = tokens[state.token];
  const effects = asked.get(key(state, server));
  const rows = glance.heads.map((head, n) => {
    const { weights, norms } = mixing.layers[head.layer].heads[head.head];
    const cell = atlas?.cells[n];
    return { ...head, weights: weights[state.token], norms: norms[state.token], near: cell?.label, cell, own_rank: cell?.own_rank, ...effects?.heads?.[n] };
  });
  const whole = h("div", {});
  const draw = () => whole.replaceChildren(table(rows, state, (name) => {
    order = { by: name, down: name === order.by ? !order.down : name !== "head" && name !== "near" };
    draw();
    whole.querySelector(`[data-sort="${name}"]`).focus();
  }));
  draw();
  const notes = [...new Set([...glance.notes, ...(atlas?.notes ?? []), ...(effects?.notes ?? [])])];
  const where = atlas?.reference ? ` (reference ${atlas.reference})` : "";
  return {
    title: ["Every head in numbers, with what it is near to and what it matters at ", label(own.label), ` (position ${own.position})`],
    name: `${own.label} · layers`,
    notes: notes.map((note) => ["Note ", note]),
    figures: { glance: [request(state, server, effects, again), whole, ...meaning([
      `The first five numbers are the mean over the tokens of the text that are no special ones; the others are at the selected token. Nearest token: in the space ${state.space}, ${state.metric}${where}. ` +
      "Point at a column’s name for what it says; press it to sort. A head leads to its layer.", "moved = |f′ − f| / |f|, KL(p ‖ p′), f and p of the text as it is"])] },
    steps: stepsOf("layers"),
  };
}

const key = ({ text, mask, token }, { name }) => JSON.stringify([name, text, mask, token, by]);

/** The buttons that ask for the effects, and what came of it. */
function request(state, server, effects, again) {
  const runs = server.layers * server.heads + 1;
  const working = `The model reads the text ${count(runs)} times …`;
  const told = effects?.heads ? `Effects: z replaced by ${BY[by]}.` : effects?.error ?? "What a head is near to need not matter: the effects of putting out each head tell.";
  const says = h("p", { class: "says", role: "status" }, effects?.pending ? working : told);
  const buttons = Object.entries(BY).map(([kind, name]) => h("button", { type: "button", "data-by": kind, disabled: effects?.pending }, `Effects by ${name}`));
  for (const button of buttons) button.addEventListener("click", async () => {
    by = button.dataset.by;
    buttons.forEach((one) => { one.disabled = true; });
    says.textContent = working;
    const [{ text, mask, token }, which] = [state, key(state, server)];
    if (!asked.get(which)?.heads) {
      asked.set(which, { pending: true });
      const signal = standing();
      asked.set(which, await post("effects", { text, mask, token, replaced_by: by }, signal).catch((fault) => ({ error: fault instanceof Refused ? fault.message : "The server does not answer." })));
      if (signal.aborted) return asked.delete(which); // another view was asked for
    }
    again();
  });
  return h("div", { class: "request" }, buttons, says);
}

/** Layers × heads as rows, sorted; the names of the columns are buttons that sort. */
function table(rows, state, sort) {
  const names = Object.keys(COLUMNS).filter((name) => rows[0][name] !== undefined && rows[0][name] !== null);
  const scales = Object.fromEntries(names.map((name) => [name, scale(rows.map((row) => (name === "near" ? null : row[name])))]));
  const heading = (name, title, says) => {
    const direction = order.by === name ? (order.down ? "descending" : "ascending") : null;
    return h("th", { scope: "col", "aria-sort": direction }, h("button", { type: "button", class: "head", "data-sort": name, title: says }, title, direction && h("span", { "aria-hidden": "true" }, order.down ? " ▼" : " ▲")));
  };
  const sorted = order.by === "head" || !names.includes(order.by) ? [...rows] : rows.toSorted((a, b) => (order.by === "near" ? a.near.localeCompare(b.near) : a[order.by] - b[order.by]));
  if (order.down) sorted.reverse();
  const body = sorted.map((row) => h("tr", {}, name(row), names.map((one) => cell(one, row, scales[one]))));
  const top = h("tr", {}, heading("head", "Head", "by layer and head"), names.map((one) => heading(one, ...COLUMNS[one])));
  const made = scrolled(`${rows.length} heads`, { columns: names.length, top, rows: body, kind: "glance" });
  for (const button of made.querySelectorAll("[data-sort]")) button.addEventListener("click", () => sort(button.dataset.sort));
  for (const button of made.querySelectorAll("tbody button")) button.classList.toggle("chosen", Number(button.dataset.head) === state.head && Number(button.dataset.layer) === state.layer);
  return made;
}

const name = ({ layer, head }) =>
  h("td", { role: "rowheader" }, h("button", { type: "button", class: "head", tabindex: "-1", "data-layer": layer, "data-head": head, "aria-label": `Layer ${layer} head ${head}: show it` }, `L${layer}H${head}`));

function cell(one, row, bars) {
  if (one === "near") return h("td", { class: row.cell.kind, tabindex: "-1", "data-id": row.cell.id, "data-label": row.near, "data-where": `L${row.layer}H${row.head}` }, h("span", { class: "sign" }, KINDS[row.cell.kind]), label(row.near));
  const [from, to] = bars.bar(row[one]);
  return h("td", { tabindex: "-1", "--from": `${from}%`, "--to": `${to}%` }, one === "own_rank" ? count(row[one]) : distance(row[one]));
}
