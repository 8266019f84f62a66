// The view of attention: what every head of a layer mixes at the token, and one head's whole pattern.
import { h, label } from "./dom.js";
import { meaning, stepsOf, TABLES } from "./explain.js";
import { distance } from "./numbers.js";
import { headHeading, scrolled } from "./tables.js";

export const controls = ["layer", "head", "weigh", "mask"];

/** The question: the selected token's sources, and the pattern of the chosen head where the text is short enough. */
export function questions({ text, mask, token, layer, weigh, head }, server, tokens) {
  const short = tokens.length <= server.pattern;
  return [["attention", { text, mask, token, layer, weigh, head: short ? head : null }]];
}

/** The answer as a title, notes and figures. */
export function paint([answer], state, server, tokens) {
  const own = tokens[state.token];
  return {
    title: [`Layer ${answer.layer}: where its ${answer.heads.length} heads look from `, label(own.label), ` (position ${own.position})`],
    name: `${own.label} · attention of layer ${answer.layer}`,
    notes: answer.notes.map((note) => ["Note ", note]),
    figures: {
      attention: [...sources(answer, state, tokens), ...meaning(TABLES[answer.weigh])],
      pattern: pattern(answer, state, server, tokens),
    },
    steps: stepsOf("attention"),
  };
}

/** Sources × heads for the selected token. */
export function sources(answer, state, tokens) {
  const most = Math.max(...answer.heads.flatMap(({ shares }) => shares));
  const top = h("tr", {}, corner("source ↓ head →"), answer.heads.map(({ head }) => headHeading(head, state.head)));
  const rows = tokens.map((token, n) =>
    h("tr", {}, place(token, state), answer.heads.map(({ head, shares }) => heat(shares[n], most, token, `head ${head}, source ${n}`, head))),
  );
  return matrix("What each head mixes at the selected token", top, rows, answer.heads.length, most);
}

/** Queries × sources of one head; a sentence where there is none. */
function pattern(answer, state, server, tokens) {
  if (!answer.pattern) {
    const long = `Whole patterns are drawn for texts of up to ${server.pattern} tokens; this one has ${tokens.length}.`;
    const choose = "Choose a head at the top of a column to see its whole pattern: every query with every source.";
    return [h("p", { class: "says" }, tokens.length > server.pattern ? long : choose)];
  }
  const { head, queries } = answer.pattern;
  const most = Math.max(...queries.flat());
  const named = tokens.map((token) => h("th", { scope: "col", class: token.position === state.token ? "own" : null }, h("div", { class: "tilted" }, label(token.label))));
  const rows = tokens.map((query, i) =>
    h("tr", {}, place(query, state), tokens.map((source, j) => heat(queries[i][j], most, source, `query ${i} ${query.label}, source ${j}`, head))),
  );
  const top = h("tr", {}, corner("query ↓ source →"), named);
  return [...matrix(`Head ${head}: its whole pattern`, top, rows, tokens.length, most, "pattern"), ...meaning(TABLES.pattern)];
}

const corner = (axes) => h("td", {}, h("span", { class: "axes" }, axes));

const place = (token, state) =>
  h("th", { scope: "row", class: token.position === state.token ? "own" : null }, h("span", { class: "place" }, token.position), " ", label(token.label));

/** A cell whose ground is as strong as its share of the largest value. */
function heat(value, most, token, where, head) {
  const strength = most ? Math.round((100 * value) / most) : 0;
  return h(
    "td",
    {
      tabindex: "-1",
      "data-id": token.id,
      "data-position": token.position,
      "data-label": token.label,
      "data-head": head,
      "data-where": `${where}: ${value.toPrecision(4)}`,
      "--heat": `${strength}%`,
    },
    h("span", {}, distance(value)),
  );
}

function matrix(caption, top, rows, columns, most, kind = "") {
  const table = scrolled(caption, { columns, top, rows, kind: `heat ${kind}`.trim() });
  return [table, h("p", { class: "legend" }, `Ground: clear at 0, full at ${distance(most)} (the largest here).`)];
}
