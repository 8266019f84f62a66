// An answer held against other texts: every head's raw and hub-aware neighbours side by side, and what chance would give.
import { question } from "./compare.js";
import { h, label } from "./dom.js";
import { kindSays } from "./kinds.js";
import { count, distance, scale } from "./numbers.js";
import { cell, figure, headHeading, ownCell } from "./tables.js";

/** Why the switch is closed, or null. */
export function hubsClosed(state, server) {
  const [route, asked] = question(state, server);
  if (route === "compare") return "two answers are compared already";
  if (asked.vector !== "z") return "other texts’ outputs are kept, not their queries, keys and values";
  if (asked.space === "unembedding" && asked.metric === "euclidean") return "not for the Euclidean distance in this space";
  return null;
}

/** What the switch says. */
export function hubsSays(state, server) {
  const why = hubsClosed(state, server);
  if (why) return `Closed here: ${why}.`;
  return state.hubs
    ? "On: beside each head’s nearest tokens stand those that are nearer than usual, and what other texts would give."
    : "Off. On: which neighbours are near to everything, and what other texts would give.";
}

/** The question about other texts; null where it is not asked. */
export const hubsAsk = (state, server) =>
  state.hubs && !hubsClosed(state, server) ? ["background", question(state, server)[1]] : null;

/** Raw and hub-aware neighbours of every head, the hubs under its name, chance below. */
export function hubsTable(answer, background, chosen, usual) {
  const own = answer.tokens[answer.selected];
  const pairs = answer.heads.map((head, n) => [head, background.heads[n]]);
  const bars = scale(answer.heads.flatMap((head) => head.neighbors.map((one) => one.distance)));
  const scores = scale(background.heads.flatMap((head) => head.neighbors.map((one) => one.score)));
  const rows = answer.heads[0].neighbors.map((_, row) =>
    pairs.flatMap(([head, held]) => [
      rawCell(head, held.chance.listed[row], row, bars),
      awareCell(held.neighbors[row], head.head, scores),
    ]),
  );
  const wide = { scope: "colgroup", colspan: 2 };
  const top = [
    h("tr", {}, h("td", { rowspan: 2 }), pairs.map(([head, held]) => withHubs(headHeading(head.head, chosen, wide), held.hubs))),
    h("tr", {}, pairs.flatMap(() => ["raw", "hub-aware"].map((name) => h("th", { scope: "col" }, name)))),
    ...(usual ? [usual] : []),
  ];
  const across = (name, title, told) =>
    h("tr", {}, rowHead(name, title), pairs.map(([, held]) => h("td", { colspan: 2 }, told(held.chance))));
  const foot = [
    h(
      "tr",
      {},
      rowHead("own", "the own token’s rank, where it is not listed above, and its hub-aware rank"),
      pairs.flatMap(([head, held]) => [ownCell(head, own), ownScore(held.own)]),
    ),
    across("by chance", "the own token’s median rank under other texts’ outputs, and how many rank it as near", ownChance),
    across("in text", "how many of other texts’ outputs have a token of this text nearest", (chance) => `${percent(chance.in_text)} by chance`),
  ];
  const [region, legend] = figure("Nearest vocabulary tokens", { columns: 2 * pairs.length, top, rows, bars, foot, kind: "versus hubs" });
  legend.append(` Hub-aware: the score, up to ${distance(scores.high)} across the whole cell.`);
  return [region, legend];
}

/** What the table shows, with the bank that it was made with; and the formulas. */
export function hubsMeaning({ bank, window }) {
  const where = window.first === window.last ? `position ${window.first}` : `positions ${window.first} to ${window.last}`;
  return [
    `Held against ${count(bank.outputs)} outputs of the same heads in other texts (${bank.name}). Hub-aware: the tokens that ` +
      "this output is nearer to than usual, and by how many standard deviations. Under a head’s name: the token that is most " +
      "often among the 10 nearest of those outputs, and how skewed that count is. Chance is what the " +
      `${count(window.outputs)} outputs at ${where} give; beside a token of the text, how many of them list it too.`,
    "score = (s(z_i, R_t) − μ_t) / σ_t over other texts; skew of N_10(t)",
  ];
}

const percent = (share) => (share > 0 && share < 0.005 ? "< 1 %" : `${Math.round(100 * share)} %`);

const rowHead = (name, title) => h("th", { scope: "row", title }, name);

function rawCell(head, listed, row, bars) {
  const one = head.neighbors[row];
  const here = one.kind === "own" || one.kind === "text";
  const by = here ? `, listed by ${percent(listed)} of other texts’ outputs` : "";
  const where = `rank ${count(one.rank)}, ${kindSays(one)}${by}`;
  const made = cell(one, { id: one.id, bars, kind: one.kind, head: head.head, where });
  made.classList.toggle("by-chance", here);
  if (here) made.append(h("span", { class: "chance" }, h("span", { class: "hidden" }, " by chance "), percent(listed)));
  return made;
}

function awareCell(one, head, bars) {
  const where = `hub-aware rank ${count(one.rank)}, ${kindSays(one)}`;
  return cell({ ...one, distance: one.score }, { id: one.id, bars, kind: one.kind, head, where, measure: "score" });
}

function withHubs(heading, hubs) {
  const title = "among the 10 nearest of so many other outputs; skewness of that count";
  const told = [percent(hubs.largest), " ", label(hubs.label), ` · skew ${hubs.skewness.toFixed(1)}`];
  heading.append(h("span", { class: "largest", title }, h("span", { class: "hidden" }, " largest hub: "), ...told));
  return heading;
}

function ownScore({ rank, score }) {
  if (!rank) return h("td", { class: "rank" }, "no rank");
  return h("td", { class: "rank" }, `#${count(rank)}`, h("span", { class: "num" }, distance(score)));
}

function ownChance({ own_rank: rank, as_near: share }) {
  return rank === null ? "no rank" : `#${count(Math.round(rank))} · ${percent(share)} as near`;
}
