// How the heads usually behave: a survey's figures under the heads' names; and the view of all of them, which opens one.
import { Lost, post, Refused } from "./api.js";
import { question } from "./compare.js";
import { h } from "./dom.js";
import { stepsOf } from "./explain.js";
import { count, points } from "./numbers.js";
import { scrolled } from "./tables.js";

const MARKS = { above: "▲", below: "▼", "at chance": "=", undetermined: "?" };
// What the figures are held against, where that is not what other documents give.
const OVER = { own: "over even attention", carry: "over even attention" };
const NAMES = { in_text: "in text", own: "Own", carry: "Carry", signal: "Signal" };

/** The question for a view's usual figures; null where no survey is open. */
export function usualAsk(asked, server) {
  if (!server.survey.survey) return null;
  const { layer, space, reference, metric, position, candidates, vector, mask } = asked;
  return ["usual", { layer, space, reference, metric, position, candidates, vector, mask }];
}

/** A row under the heads' names, one cell a head, each `span` columns wide; null where there are no figures. */
export function usualRow(usual, span = 1) {
  if (!usual?.heads) return null;
  const cells = usual.heads.map((head) => h("td", { colspan: span, class: "usual" }, Object.keys(NAMES).map((name) => line(name, head[name]))));
  return h("tr", { class: "usually" }, h("th", { scope: "row", title: `how each head usually behaves: survey ${usual.survey.name}` }, "usual"), cells);
}

function line(name, figure) {
  const shown = figure?.verdict ? h("span", { class: "verdict", "data-verdict": figure.verdict }, MARKS[figure.verdict]) : null;
  if (!shown) return h("div", {}, `${NAMES[name]} –`);
  const amount = name === "in_text" ? points(figure.value, false) : points(figure.difference, true);
  const chance = name === "in_text" ? h("span", { class: "place" }, ` / ${points(figure.chance, false)}`) : null;
  const title = `${NAMES[name]}: ${said(figure)}; ${OVER[name] ?? "over chance"} ${points(figure.difference, true)}, ${interval(figure)}`;
  return h("div", { title }, `${NAMES[name]} `, h("span", { class: "amount" }, amount), chance, " ", shown, h("span", { class: "hidden" }, ` ${figure.verdict}`));
}

/** A verdict with what belongs to it: that a sure difference is small, or what the texts would have shown. */
function said({ verdict, small, smallest }) {
  if (small) return `${verdict}, small`;
  return verdict === "undetermined" && smallest !== null ? `undetermined (${points(smallest, false)} or more would show)` : verdict;
}

const interval = ({ difference_low, difference_high }) =>
  difference_low === null ? "without an interval: too few documents" : `95 % interval ${difference_low.toFixed(3)} to ${difference_high.toFixed(3)}`.replaceAll("-", "−");

/** What the figures are of, or why there are none; nothing where no survey is open. */
export function usualSays(usual) {
  if (!usual) return [];
  const { survey, says } = usual;
  const of = `Usual: survey ${survey.name}, ${count(survey.positions)} tokens of ${count(survey.texts)} texts.`;
  if (says) return [h("p", { class: "says usual-says" }, `${of} ${says}`)];
  const read =
    "“In text”: how often the nearest token is one of the text, and by chance; Signal: over chance; Own (within the text) " +
    "and Carry: over even attention. ▲ above, ▼ below, = at chance, ? undetermined.";
  return [h("p", { class: "says usual-says" }, `${of} ${read}`)];
}

export const controls = ["layer", "head", "space", "metric", "reference", "position", "candidates", "mask"];

/** The question: the figures of every layer. */
export function questions(state, server) {
  const [, asked] = question({ ...state, compare: "none", vector: "z" }, server);
  return Array.from({ length: server.layers }, (_, layer) => usualAsk({ ...asked, layer }, server)).filter(Boolean);
}

/** Every layer and head with the marks of its figures; and the form that opens a survey, which calls `again`. */
export function paint(answers, state, server, tokens, more, again) {
  const { survey, may_open } = server.survey;
  const command = h("code", {}, "headscope survey TEXTS --model MODEL -o DIR");
  const says = survey
    ? [`Survey ${survey.name} is open: ${count(survey.positions)} tokens of ${count(survey.texts)} texts. Its figures stand under the heads’ names, too.`]
    : ["One sentence proves nothing. ", command, ` measures many; ${may_open ? "open DIR here, and its" : "whoever runs this server can open one with --survey DIR, and its"} figures stand under the heads’ names, and here for every layer.`];
  const columns = server.heads;
  const top = h("tr", {}, h("td", {}, h("span", { class: "axes" }, "layer ↓ head →")), Array.from({ length: columns }, (_, head) => h("th", { scope: "col" }, head)));
  const row = ({ heads }, layer) => h("tr", {}, h("th", { scope: "row" }, h("span", { class: "number" }, layer)), heads.map((head) => square(head, layer, state)));
  const grid = answers[0]?.heads && scrolled("In text, Own, Carry and Signal of every head", { columns, top, rows: answers.map(row), kind: "atlas" });
  return {
    title: ["How heads usually behave"],
    name: "survey",
    notes: [],
    steps: stepsOf("survey"),
    figures: { survey: [h("p", { class: "says" }, ...says), concluded(survey), grid, ...usualSays(answers[0]), may_open ? opener(server, again) : null].filter(Boolean) },
  };
}

/** What may be concluded of the model, in the survey's own lines. */
const concluded = (survey) => (survey?.concluded.length ? h("ul", { class: "concluded" }, survey.concluded.map((line) => h("li", {}, line))) : null);

function square(figures, layer, state) {
  const marks = Object.keys(NAMES).map((name) => h("span", { class: "verdict", "data-verdict": figures[name]?.verdict }, MARKS[figures[name]?.verdict] ?? "–"));
  const told = Object.keys(NAMES).map((name) => `${NAMES[name]} ${points(figures[name]?.difference ?? null, true)} (${figures[name] ? said(figures[name]) : "not measured"})`).join(", ");
  const here = layer === state.layer && figures.head === state.head;
  const where = { "data-layer": layer, "data-head": figures.head, "aria-current": here && "true" };
  return h("td", {}, h("button", { type: "button", tabindex: "-1", title: `L${layer}H${figures.head}, over chance: ${told}`, ...where }, marks, h("span", { class: "hidden" }, ` layer ${layer} head ${figures.head}: ${told}`)));
}

function opener(server, again) {
  const field = h("input", { id: "survey-directory", type: "text", maxlength: "1000", spellcheck: "false", autocomplete: "off" });
  const problem = h("p", { id: "survey-problem", class: "banner", role: "alert", hidden: true });
  const form = h(
    "form",
    { id: "open-survey", class: "line" },
    h("label", { for: "survey-directory" }, "Directory of a survey, on this machine"),
    field,
    h("button", { type: "submit", class: "primary" }, "Open"),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!field.value.trim()) return;
    try {
      server.survey = await post("survey", { directory: field.value.trim() });
      again();
    } catch (fault) {
      if (!(fault instanceof Refused || fault instanceof Lost)) throw fault;
      const sentence = fault instanceof Refused ? fault.message : "the server does not answer.";
      problem.textContent = sentence[0].toUpperCase() + sentence.slice(1);
      problem.hidden = false;
    }
  });
  return h("div", { class: "opener" }, form, problem);
}
