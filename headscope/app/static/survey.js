// How the heads usually behave: the figures of a survey under the heads' names, and the form that opens one.
import { Lost, post, Refused } from "./api.js";
import { byId, h } from "./dom.js";
import { count, points } from "./numbers.js";

const MARKS = { above: "▲", below: "▼", "at chance": "=", undetermined: "?" };
const NAMES = { in_text: "in text", own: "Own", signal: "Signal" };

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
  const interval = `${figure.difference_low.toFixed(3)} to ${figure.difference_high.toFixed(3)}`.replaceAll("-", "−");
  const title = `${NAMES[name]}: ${figure.verdict}; over chance ${points(figure.difference, true)}, 95 % interval ${interval}`;
  return h("div", { title }, `${NAMES[name]} `, h("span", { class: "amount" }, amount), chance, " ", shown, h("span", { class: "hidden" }, ` ${figure.verdict}`));
}

/** What the figures are of, or why there are none; nothing where no survey is open. */
export function usualSays(usual) {
  if (!usual) return [];
  const { survey, says } = usual;
  const of = `Usual: survey ${survey.name}, ${count(survey.positions)} tokens of ${count(survey.texts)} texts.`;
  if (says) return [h("p", { class: "says usual-says" }, `${of} ${says}`)];
  const read =
    "“In text”: how often the nearest token is one of the text, and by chance; Own and Signal: over chance. " +
    "▲ above chance, ▼ below it, = at chance, ? undetermined.";
  return [h("p", { class: "says usual-says" }, `${of} ${read}`)];
}

/** The section that says which survey is open and opens another; `again` shows the view with it. */
export function bindSurvey(server, again) {
  const paint = () => {
    const { survey, may_open } = server.survey;
    byId("survey").hidden = !survey && !may_open;
    byId("open-survey").hidden = !may_open;
    byId("survey-says").textContent = survey
      ? `Survey ${survey.name} is open: ${count(survey.positions)} tokens of ${count(survey.texts)} texts. Its figures stand under the heads’ names.`
      : "One sentence proves nothing. Open a survey (headscope survey writes one), and its figures stand under the heads’ names.";
  };
  const say = (sentence) => {
    byId("survey-problem").textContent = sentence && sentence[0].toUpperCase() + sentence.slice(1);
    byId("survey-problem").hidden = !sentence;
  };
  byId("open-survey").addEventListener("submit", async (event) => {
    event.preventDefault();
    const directory = byId("survey-directory").value.trim();
    if (!directory) return;
    try {
      server.survey = await post("survey", { directory });
    } catch (fault) {
      if (fault instanceof Refused) return say(fault.message);
      if (fault instanceof Lost) return say("The server does not answer.");
      throw fault;
    }
    say("");
    paint();
    again();
  });
  paint();
}
