// Why a token is near: its score in one head, split over the positions that the head mixed.
import { h, label } from "./dom.js";
import { distance } from "./numbers.js";

const SCORES = { cosine: "cosine, 1 − distance", dot: "dot product, −distance", euclidean: "dot product" };

/** How the state names a neighbour: its head and its id. */
export const whyOf = ({ head, id }) => `${head}.${id}`;

/** The question that asks why the chosen neighbour is near; null where none is chosen. */
export function whyAsk(asked, why) {
  if (!why) return null;
  const [head, id] = why.split(".").map(Number);
  return { ...asked, head, id };
}

/** A table of the sources: what each weighs, and what it brought to the score; pure, from answer to elements. */
export function whyTable(answer) {
  const most = Math.max(...answer.sources.map((one) => Math.abs(one.share)), Number.MIN_VALUE);
  const rows = answer.sources.map((one) => sourceRow(one, one.position === answer.selected, most));
  const sum = (name, value) =>
    h("tr", {}, h("th", { scope: "row", colspan: 3 }, name), h("td", { class: "share" }, number(value)));
  const heading = ["position", "token", "weight", "share of the score"].map((name) => h("th", { scope: "col" }, name));
  return h(
    "table",
    { class: "sources", "--columns": 3 },
    h("caption", {}, "Why ", label(answer.label), ` is near in head ${answer.head}`),
    h("thead", {}, h("tr", {}, heading)),
    h("tbody", {}, rows),
    h("tfoot", {}, answer.rest ? sum("no position (attention sink)", answer.rest) : null, sum("score", answer.score)),
  );
}

/** What the table shows, in a sentence, and its formula. */
export const whySays = (answer) => [
  `The score (${SCORES[answer.metric]}) is a sum over the positions that the head mixed: what each value brings, times ` +
    "the attention it got. A share below 0 pulls away.",
  answer.metric === "cosine" ? "share_j = α_ij ⟨v_j, R_t⟩ / (|z| |R_t|)" : "share_j = α_ij ⟨v_j, R_t⟩",
];

const number = (value) => (value < 0 ? "−" : "+") + distance(Math.abs(value));

function sourceRow(one, own, most) {
  const size = (50 * Math.abs(one.share)) / most;
  const [from, to] = one.share < 0 ? [50 - size, 50] : [50, 50 + size];
  return h(
    "tr",
    { class: own ? "own" : null },
    h("th", { scope: "row" }, one.position),
    h("td", {}, label(one.label), own ? h("span", { class: "hidden" }, " (selected token)") : null),
    h("td", { class: "weight" }, `${(100 * one.weight).toFixed(1)} %`),
    h("td", { class: "share", "--from": `${from}%`, "--to": `${to}%` }, number(one.share)),
  );
}
