// Plots, drawn by the plotly.js that the server has: loaded when the first plot comes into sight, after tables and text.
// Every plot has a name, a sentence and, beside it, a table with the same numbers.
import { button, h } from "./dom.js";

const PAPER = { width: 700, height: 440 }; // a downloaded picture, in CSS pixels: 7 inches wide
const DPI = 3; // a PNG's pixels for each of them: 300 to the inch
const INKS = ["paper", "ink", "soft", "rule", "edge", "accent", "own", "text", "variant", "special-ground"];
const plots = new Map(); // by id: a plot that is shown again keeps its element, and the reader's zoom
let library = null;

/** plotly.js, loaded once; a file has it within. Its stylesheet is ours, since the page's policy refuses styles that a script writes. */
function loaded() {
  library ??= window.Plotly ? Promise.resolve(window.Plotly) : new Promise((done, failed) => {
    const style = h("link", { rel: "stylesheet", href: new URL("plot.css", import.meta.url).href, id: "plotly.js-style-global", class: "no-inline-styles" });
    const script = h("script", { src: "plotly.js" });
    // It writes the styles of its maps (of the world) as soon as it is there, used or not: into something inert.
    const make = Document.prototype.createElement;
    document.createElement = (name, ...rest) => make.call(document, name === "style" ? "template" : name, ...rest);
    const end = (then) => () => delete document.createElement && then();
    style.onload = () => document.head.append(script);
    script.onload = end(() => done(window.Plotly));
    style.onerror = script.onerror = end(() => {
      [style, script].forEach((element) => element.remove());
      library = null;
      failed(new Error("plotly.js"));
    });
    document.head.append(style);
  });
  return library;
}

/** The page's colours as plotly takes them; `scheme` "light" or "dark", else as the page is shown. */
export function colours(scheme = "") {
  const probe = h("span", { hidden: true });
  probe.style.colorScheme = scheme;
  document.body.append(probe);
  const named = INKS.map((ink) => {
    probe.style.color = `var(--${ink})`;
    return [ink, getComputedStyle(probe).color];
  });
  probe.remove();
  return Object.fromEntries(named);
}

/**
 * The plot `id`, as an element: `draw(colours)` gives plotly's data and layout, `choose` is told what was clicked,
 * `drawn` that it stands, `table` makes the same numbers as a table, when it is opened, at once or as a promise.
 */
export function plot({ id, name, says, draw, choose = null, drawn = null, table = null, height = 300 }) {
  const here = plots.get(id) ?? made(id);
  plots.set(id, here);
  Object.assign(here, { name, draw, choose, drawn, table, height, stale: true });
  here.canvas.setAttribute("aria-label", `${name}. ${says}`);
  here.canvas.style.setProperty("height", `${height}px`);
  here.says.textContent = says;
  here.caption.replaceChildren(name);
  here.numbers.hidden = !table;
  here.numbers.open = false;
  for (const one of here.buttons) one.setAttribute("aria-label", `${one.textContent}: ${name}`);
  // Words and tables first: a frame later.
  if (here.seen) requestAnimationFrame(() => setTimeout(() => paint(here)));
  return here.element;
}

function made(id) {
  const [canvas, caption, says] = [h("div", { class: "canvas", role: "img" }), h("figcaption", {}), h("p", { class: "says" })];
  const here = { id, canvas, caption, says, seen: false };
  here.buttons = ["SVG", "PNG"].map((kind) => button(kind, () => save(here, kind.toLowerCase())));
  const downloads = h("p", { class: "downloads" }, "Download ", here.buttons);
  here.numbers = h("details", {}, h("summary", {}, "As a table"));
  here.numbers.addEventListener("toggle", async () => {
    if (!here.numbers.open || !here.table) return;
    const { table } = here;
    const numbers = await table();
    if (here.table === table) here.numbers.replaceChildren(here.numbers.firstChild, numbers); // else another is shown by now
  });
  here.element = h("figure", { class: "plot", id: `plot-${id}` }, h("div", { class: "over" }, caption, downloads), canvas, says, here.numbers);
  sight.observe(canvas);
  return here;
}

/** A plot is drawn when it comes into sight, and anew with every theme. */
const sight = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const here = [...plots.values()].find(({ canvas }) => canvas === entry.target);
    here.seen = entry.isIntersecting;
    if (here.seen) paint(here);
  }
}, { rootMargin: "200px" });

const again = () => plots.forEach((here) => (here.stale = true) && here.seen && paint(here));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
new MutationObserver(again).observe(document.documentElement, { attributeFilter: ["data-theme", "data-palette"] });
addEventListener("beforeprint", () => { // on paper all are in sight
  for (const here of plots.values()) if (here.canvas.isConnected) paint(here);
});

async function paint(here) {
  if (!here.stale) return;
  here.stale = false;
  try {
    const Plotly = await loaded();
    const { data, layout } = dressed(here, colours());
    // No transitions: a plot does not move by itself.
    await Plotly.react(here.canvas, data, layout, { displayModeBar: false, responsive: true, showTips: false });
    here.canvas.removeAllListeners("plotly_click");
    if (here.choose) here.canvas.on("plotly_click", ({ points }) => here.choose(points[0]));
    await here.drawn?.(here.canvas);
    here.canvas.dataset.drawn = String(Number(here.canvas.dataset.drawn ?? 0) + 1);
  } catch (fault) {
    here.stale = true;
    if (fault.message !== "plotly.js") throw fault;
    here.canvas.textContent = "The plot could not be loaded; the table has its numbers.";
  }
}

/** What `draw` gives, with the page's type, grid and colours for whatever it leaves open. */
function dressed({ draw, height }, ink) {
  const { data, layout } = draw(ink);
  const axis = { gridcolor: ink.rule, linecolor: ink.edge, tickcolor: ink.edge, zerolinecolor: ink.edge, zeroline: false, automargin: true };
  const axes = Object.keys(layout).filter((key) => /^[xy]axis/.test(key)).map((key) => [key, { ...axis, ...layout[key] }]);
  const common = {
    height, paper_bgcolor: ink.paper, plot_bgcolor: ink.paper, margin: { l: 48, r: 16, t: 8, b: 40 }, showlegend: false, hovermode: "closest", dragmode: "zoom",
    font: { family: "system-ui, sans-serif", size: 12, color: ink.ink },
    hoverlabel: { bgcolor: ink.paper, bordercolor: ink.edge, font: { color: ink.ink } },
  };
  return { data, layout: { ...common, ...layout, ...Object.fromEntries(axes) } };
}

/** The picture that is downloaded: always on white paper, at the size of a column or a page. */
async function save(here, format) {
  const Plotly = await loaded();
  const { data, layout } = dressed(here, { ...colours("light"), paper: "#ffffff" });
  // The name stands beside the plot on the page, and on its axis in a paper.
  const yaxis = { ...layout.yaxis, title: layout.yaxis?.title ?? { text: here.name } };
  const url = await Plotly.toImage({ data, layout: { ...layout, yaxis, ...PAPER } }, { format, ...PAPER, scale: format === "png" ? DPI : 1 });
  const [, body] = url.split(/,(.*)/s);
  const bytes = format === "png" ? Uint8Array.from(atob(body), (one) => one.charCodeAt(0)) : decodeURIComponent(body);
  const address = URL.createObjectURL(new Blob([bytes], { type: format === "png" ? "image/png" : "image/svg+xml" }));
  h("a", { href: address, download: `headscope-${here.id}.${format}` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
