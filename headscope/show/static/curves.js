// The plots of the way through the layers, from an answer's numbers: a line a token, a line a kind of mixing.
import { byId } from "./dom.js";
import { count, distance } from "./numbers.js";

// Told apart by their dashes too. The selected token is drawn in ink, with points.
const CLASSES = { content: ["accent", "solid"], function: ["own", "dash"], punctuation: ["soft", "dot"], other: ["variant", "dashdot"] };
const KINDS = { weights: ["soft", "dot", "circle"], norms: ["own", "dash", "square"], norms_all: ["variant", "dashdot", "diamond"], residual: ["text", "longdash", "triangle-up"], layernorm: ["accent", "solid", "x"] };
// On a logarithmic axis, each in full: plotly writes 20 as 2.
const STEPS = [0.01, 0.1, 1, 10, 100, 1e3, 1e4, 1e5].flatMap((ten) => [ten, 2 * ten, 5 * ten]);
const TICKS = { tickvals: STEPS, ticktext: STEPS.map(count) };
const percent = (value) => (value === null ? "–" : `${(100 * value).toFixed(1)} %`);

/** The measures that a stage has; the first has nothing before it to share neighbours with. */
const at = (token, measure, stage) => (measure === "overlap" ? (stage ? token.overlap[stage - 1] : null) : token[measure][stage]);

/** The plots of a journey, one a measure; `table` makes the numbers of one, where they are not beside it. */
export const lines = (journey, own, table = null) => Object.keys(journey.plots).map((measure) => curve(measure, journey, own, table && (() => table(measure))));

/** The plots of mixing: of the tokens' mean, and at one. */
export const bars = (mixing, own) => [bar(mixing, "mean of the tokens", "mixing", (layer, kind) => layer.means[kind]), bar(mixing, `at ${own.label}`, "mixing-token", atToken(own))];

/** The plot of one measure of all tokens: a line a token, in one trace a class of words. */
function curve(measure, { tokens, stages, plots }, own, table) {
  const { name: title, says, log } = plots[measure];
  const shown = measure.endsWith("rank") ? count : distance;
  const one = (token) => stages.map((_, n) => [n, at(token, measure, n), token.position, `${token.position} ${token.label}, ${stages[n]}`]);
  const trace = (points, more) => ({
    type: "scatter", mode: "lines", x: points.map(([n]) => n), y: points.map(([, y]) => y), customdata: points.map(([, , p]) => p),
    text: points.map(([, y, , name]) => `${name}: ${y === null ? "–" : shown(y)}`), hoverinfo: "text", connectgaps: false, ...more,
  });
  const draw = (ink) => {
    const classes = Object.entries(CLASSES).map(([name, [colour, dash]]) => {
      const points = tokens.filter((token) => token.word_class === name && token !== own).flatMap((token) => [...one(token), [null, null, null, ""]]);
      return trace(points, { name, line: { color: ink[colour], dash, width: 1.3 }, opacity: 0.75 });
    });
    const selected = trace(one(own), { name: `${own.label} (${own.position})`, mode: "lines+markers", line: { color: ink.ink, width: 3 }, marker: { color: ink.ink, size: 6 } });
    return { data: [...classes.filter(({ x }) => x.length), selected], layout: { ...legend, xaxis: stageAxis(stages), yaxis: { type: log ? "log" : "linear", ...(log && TICKS) } } };
  };
  return { id: measure.replace("_", "-"), name: title, says, draw, table, choose: ({ customdata }) => byId("tokens").children[customdata]?.click() };
}

const legend = { showlegend: true, legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" }, margin: { l: 52, r: 12, t: 34, b: 50 } };

/** Stages from left to right; layers are named, and between two names stands the stage after the attention. */
function stageAxis(stages) {
  const step = Math.ceil((stages.length - 1) / 24);
  const named = stages.map((_, n) => n).filter((n) => n % (2 * step) === 0);
  return { title: { text: "after layer" }, tickvals: named, ticktext: named.map((n) => (n ? n / 2 - 1 : "input")), range: [-0.3, stages.length - 0.7] };
}

/** The ratio of a layer and kind at a token: where every head has one, their mean. */
const atToken = ({ position }) => (layer, kind) => (kind in layer ? layer[kind][position] : mean(layer.heads.map((head) => head[kind][position])));
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** The plot of a line a kind over the layers. */
function bar({ layers, kinds }, whose, id, ratio) {
  const draw = (ink) => ({
    data: kinds.map(({ kind, name }) => {
      const [colour, dash, symbol] = KINDS[kind];
      const y = layers.map((layer) => ratio(layer, kind));
      return { type: "scatter", mode: "lines+markers", name, x: layers.map(({ layer }) => layer), y, text: y.map((value, n) => `${name}, layer ${n}: ${percent(value)}`), hoverinfo: "text", line: { color: ink[colour], dash, width: 2 }, marker: { color: ink[colour], symbol, size: 8 } };
    }).filter(({ y }) => y.some((value) => value !== null)),
    layout: { ...legend, xaxis: { title: { text: "layer" }, dtick: Math.ceil(layers.length / 12) }, yaxis: { range: [0, 1], tickformat: ".0%" } },
  });
  return { id, name: `Mixing by layer, ${whose}`, says: "From bare weights to what leaves the norm: each line takes in what the one before leaves out.", draw };
}
