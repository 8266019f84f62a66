// The drawing of a map, from its answer and its points.
import { button, byId, h } from "./dom.js";
import { count } from "./numbers.js";
import { plot } from "./plot.js";
import { laidOut, looks } from "./sheets.js";

const GROUPS = [["random", "edge", 4, 0.5, "random"], ["near", "accent", 6, 0.9, "near an output"], ["text", "text", 8, 1, "of the text"]]; // as they are drawn
const TEXTS = [["own", "circle-open", "diamond"], ["variant", "square-open", "triangle-up"]];
const SIZE = 11; // of labels, in pixels
const AREA = 2500; // square pixels of the plot for each label: more are a wall of words
const PAPER = [600, 350]; // about what a downloaded picture has for points
// Where plotly puts a label beside a point: what of its width goes to the left, and pixels from the point to its left and top.
const SIDES = { "middle right": [0, 6, -9], "middle left": [1, -6, -9], "top center": [0.5, 0, -21], "bottom center": [0.5, 0, 2] };
let sought = "";

/** The points with what they are: those of the vocabulary, and for each text [values, outputs]. */
export function pointsOf({ labels, sample, texts }, xy) {
  let at = 0;
  const next = (more) => ({ x: xy[2 * at], y: xy[2 * at++ + 1], ...more });
  const inks = Object.fromEntries([...GROUPS, ["random", "soft"]]);
  const groups = ["text", "near", "random"].flatMap((group) => Array(sample[group] ?? 0).fill(group));
  const vocabulary = groups.map((group, n) => next({ group, ink: inks[group], label: labels[n] }));
  const side = (tokens, n) => tokens.map((token) => next({ ink: TEXTS[n % TEXTS.length][0], label: token.label, position: token.position }));
  return { vocabulary, drawn: texts.map(({ tokens }, n) => [side(tokens, n), side(tokens, n)]) };
}

export function drawing(answer, { vocabulary, drawn }, token) {
  const [values, outputs] = drawn.at(-1);
  const own = [values[token], outputs[token]].filter(Boolean);
  const bare = (one) => one.label.replace(/^(##|␣)/, "").toLowerCase();
  const hits = () => (sought ? [...drawn.flat(2), ...vocabulary].filter((one) => bare(one) === sought.toLowerCase()) : []);
  // The most important first: labels are given room in this order.
  const ranked = () => [...new Set([...hits(), ...own.slice(-1), ...outputs, ...drawn.flat(2), ...vocabulary])];
  let inks;
  const draw = (ink) => {
    inks = ink;
    const silent = { hoverinfo: "skip", showlegend: false };
    const data = GROUPS.map(([group, colour, size, opacity, name]) =>
      trace(vocabulary.filter((one) => one.group === group), { name: `vocabulary: ${name}`, marker: { color: ink[colour], size, opacity } }));
    drawn.forEach(([from, to], n) => {
      const [colour, hollow, full] = TEXTS[n % TEXTS.length];
      const whose = drawn.length > 1 ? (n ? " of the new text" : " of the map’s text") : "";
      const lines = from.flatMap((one, p) => [one, to[p], { x: null, y: null, label: "" }]);
      data.push(trace(lines, { mode: "lines", line: { color: ink[colour], width: 1 }, opacity: 0.5, ...silent }));
      data.push(trace(from, { name: `values v${whose}`, marker: { color: ink[colour], symbol: hollow, size: 9, line: { width: 1.5 } } }));
      data.push(trace(to, { name: `outputs z${whose}`, marker: { color: ink[colour], symbol: full, size: 9 } }));
    });
    data.push(trace(own, { mode: "lines", line: { color: ink.ink, width: 2.5 }, ...silent }));
    data.push(trace(hits(), { marker: { color: ink.ink, symbol: "circle-open", size: 18, line: { width: 2 } }, ...silent }));
    const onPaper = named(ranked(), within(ranked(), ...PAPER), ...PAPER, ink);
    data.push({ ...trace([], { mode: "markers+text", marker: { size: 8, opacity: 0 }, ...silent }), ...onPaper });
    const axis = (n) => ({ showgrid: false, showticklabels: false, ticks: "", showline: false, zeroline: false, title: answer.explained && { text: `${(100 * answer.explained[n]).toFixed(1)} % of the variance` } });
    const legend = { orientation: "h", x: 0, y: 1.01, yanchor: "bottom" };
    return { data, layout: { margin: { l: 16, r: 16, t: 8, b: 16 }, showlegend: true, legend, uirevision: answer.key, xaxis: axis(0), yaxis: { ...axis(1), scaleanchor: "x" } } };
  };
  const shown = {
    id: "map",
    name: `Layer ${answer.layer}, head ${answer.head}`,
    says: "Drag over a part to see it closer; a double click shows all. Point at a dot for its token; a click on a value or an output selects its token.",
    draw,
    table: answer.html ? () => h("div", {}, laidOut(answer)().map((sheet) => looks(sheet, "stages"))) : null, // in a file they stand below
    height: innerWidth < 700 ? 480 : 640,
    choose: ({ customdata }) => byId("tokens").children[customdata]?.click(),
    drawn: (canvas) => {
      const write = () => {
        const { xaxis, yaxis } = canvas._fullLayout;
        const { x, y, text, textposition, textfont } = named(ranked(), (one) => [xaxis.l2p(one.x), yaxis.l2p(one.y)], xaxis._length, yaxis._length, inks);
        return window.Plotly.restyle(canvas, { x: [x], y: [y], text: [text], textposition: [textposition], "textfont.color": [textfont.color] }, [canvas.data.length - 1]);
      };
      canvas.removeAllListeners("plotly_relayout");
      canvas.on("plotly_relayout", write);
      return write();
    },
  };
  const field = h("input", { id: "map-find", type: "search", maxlength: "60", spellcheck: "false", autocomplete: "off", value: sought });
  const says = h("output", { class: "says", for: "map-find" });
  const look = () => {
    sought = field.value.trim();
    says.textContent = sought && `${count(hits().length)} in the map`;
    return plot(shown);
  };
  field.addEventListener("input", look);
  const zoom = [["Zoom in", 0.5], ["Zoom out", 2], ["Show all", 0]].map(([name, by]) => button(name, () => closer(byId("plot-map").querySelector(".canvas"), by)));
  return [h("p", { class: "line find" }, h("label", { for: "map-find" }, "Find a token"), field, says, zoom), look()];
}

/** Points as plotly takes them; it reads texts as HTML. */
function trace(points, more) {
  const text = points.map((one) => one.label.replaceAll("&", "&amp;").replaceAll("<", "&lt;"));
  return { type: "scatter", mode: "markers", x: points.map(({ x }) => x), y: points.map(({ y }) => y), text, customdata: points.map(({ position }) => position ?? -1), hovertemplate: "%{text}<extra></extra>", ...more };
}

/** Shows a part that is `by` times as wide around the middle of what is in sight; 0: everything. */
function closer(canvas, by) {
  const around = ([low, high]) => [-by, by].map((side) => (low + high + side * (high - low)) / 2);
  const axes = ["xaxis", "yaxis"].map((axis) => (by ? [`${axis}.range`, around(canvas._fullLayout[axis].range)] : [`${axis}.autorange`, true]));
  window.Plotly.relayout(canvas, Object.fromEntries(axes));
}

/** Where plotly would put points, were all of them in sight of a plot of that size. */
function within(points, width, height) {
  const [xs, ys] = ["x", "y"].map((axis) => points.map((one) => one[axis]));
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const unit = Math.min(width / (right - left), height / (high - low)) / 1.1;
  return ({ x, y }) => [width / 2 + unit * (x - (left + right) / 2), height / 2 - unit * (y - (low + high) / 2)];
}

/** Labels, as columns of a trace, for those points in their order that find a side where they cover nothing that counts. */
function named(points, at, width, height, ink) {
  const pen = h("canvas", {}).getContext("2d");
  pen.font = `${SIZE}px system-ui, sans-serif`;
  const meet = (one, other) => one[0] < other[2] && other[0] < one[2] && one[1] < other[3] && other[1] < one[3];
  const boxes = points.filter(({ position }) => position !== undefined).map(at).map(([x, y]) => [x - 4, y - 4, x + 4, y + 4]);
  const fit = [];
  for (const one of points) {
    const [x, y] = at(one);
    if (x < 0 || y < 0 || x > width || y > height || fit.length > (width * height) / AREA) continue;
    const wide = pen.measureText(one.label).width + 4;
    const free = Object.entries(SIDES)
      .map(([side, [part, right, down]]) => [side, [x - part * wide + right, y + down, x + (1 - part) * wide + right, y + down + SIZE + 5]])
      .find(([, box]) => box[0] >= 0 && box[1] >= 0 && box[2] <= width && box[3] <= height && !boxes.some((other) => meet(box, other)));
    if (!free) continue;
    boxes.push(free[1]);
    fit.push([one, free[0]]);
  }
  const { x, y, text } = trace(fit.map(([one]) => one), {});
  return { x, y, text, textposition: fit.map(([, side]) => side), textfont: { size: SIZE, color: fit.map(([one]) => ink[one.ink]) } };
}
