// How the heads usually behave: a survey's figures under the heads' names; and the view of all of them, which opens one.
import { post, said } from "./api.js";
import { question } from "./choices.js";
import { button, byId, h, parsed } from "./dom.js";
import { laidOut, looks } from "./sheets.js";

let figure = "in_text"; // of the grid

/** The question for a view's usual figures; null where no survey is open. */
export function usualAsk(asked, server) {
  if (!server.survey.survey) return null;
  const { layer, space, reference, metric, position, candidates, vector, mask } = asked;
  return ["usual", { layer, space, reference, metric, position, candidates, vector, mask, html: true }];
}

/** Rows under the heads' names, one a figure, each cell `span` columns wide; none where there are no figures. */
export function usualRows(usual, span = 1) {
  if (!usual?.html) return [];
  const rows = [...laidOut(usual)("usual")[0].querySelectorAll("tbody tr")];
  for (const row of rows) {
    row.className = "usually";
    for (const cell of [...row.cells].slice(1)) Object.assign(cell, { colSpan: span, title: cell.dataset.says });
  }
  return rows;
}

/** What the figures are of, or why there are none; nothing where no survey is open. */
export function usualSays(usual) {
  if (!usual) return [];
  return [h("p", { class: "says usual-says" }, `Usual: ${usual.survey.says} ${usual.says ?? "In text and Signal over chance, Own and Carry over even attention: see the view Survey."}`)];
}

/** The question: the survey by layer, and every head in the figure that is chosen. */
export function questions(state, server) {
  const [, asked] = question({ ...state, compare: "none", vector: "z" }, server);
  const usual = usualAsk(asked, server);
  return usual ? [["survey/figures", { ...usual[1], figure }]] : [];
}

/** The survey that is open, by layer and by head; and the form that opens one, which calls `again`. */
export function paint([answer], state, server, tokens, more, again) {
  const { survey, may_open } = server.survey;
  const says = survey?.says ?? "One sentence proves nothing, and no survey of this model is open.";
  const own = ["Texts of your own: ", h("code", {}, "headscope survey TEXTS --model MODEL -o DIR"), may_open ? "; then open DIR here." : "; whoever runs this server can open DIR where it is started."];
  const shown = answer?.charts.length ? [drawn(answer), choice(answer, again), ...laidOut(answer)().map((sheet) => looks(sheet, sheet.dataset.sheet))] : [];
  return {
    title: ["How heads usually behave"],
    noted: [{ notes: answer?.says ? [answer.says] : [] }],
    figures: { survey: [h("p", { class: "says capital" }, says), concluded(survey), survey ? null : h("div", { id: "test-it" }), ...shown, h("p", { class: "says" }, own), may_open ? opener(server, again) : null].filter(Boolean) },
  };
}

/** The figures by layer; the server made them, with everything in them escaped. */
const drawn = ({ charts }) => h("div", { class: "plots by-layer" }, charts.map(({ says, svg }) => h("div", { class: "plot" }, parsed(svg), h("p", { class: "hidden" }, says))));

/** Which figure the grid shows. */
const choice = ({ figures }, again) => h("div", { class: "segments", role: "group", "aria-label": "The figure of every head" }, Object.entries(figures).map(([name, title]) =>
  button(title, () => { figure = name; again(); }, { class: "", "data-figure": name, "aria-pressed": String(name === figure) })));

/** What may be concluded of the model, in the survey's own lines. */
const concluded = (survey) => (survey?.concluded.length ? h("ul", { class: "concluded" }, survey.concluded.map((line) => h("li", {}, line))) : null);

function opener(server, again) {
  const form = byId("opener").content.cloneNode(true);
  const [field, problem] = ["input", "[role=alert]"].map((one) => form.querySelector(one));
  form.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    post("survey", { directory: field.value.trim() }).then(
      (open) => { server.survey = open; again(); },
      (fault) => { problem.textContent = said(fault); problem.hidden = false; },
    );
  });
  return form;
}
