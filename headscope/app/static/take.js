// The sheet that gives a view away: files that the server makes, its figure as a picture, the link and the program.
import { post, said } from "./api.js";
import { button, byId, h } from "./dom.js";

const DPI = 300 / 96; // pixels of a picture for each of the figure's: 300 to the inch
const file = (name) => `api/v1/take/${name}${location.search}`;

/** Fills the sheet whenever it is opened. */
export function bindTake() {
  let open = new AbortController();
  byId("take").addEventListener("toggle", async ({ newState }) => {
    open.abort();
    if (newState !== "open") return;
    const { signal } = (open = new AbortController());
    [byId("link").value, byId("script").textContent] = [location.href, ""];
    byId("files").replaceChildren(h("li", {}, "…"));
    try {
      const { files, script } = await post(`take${location.search}`, {}, signal);
      byId("files").replaceChildren(...files.map(({ name, says }) => h("li", {}, h("a", { href: file(name), download: `headscope-${name}` }, says), name === "figure.svg" ? png() : null)));
      byId("files").append(files.length ? "" : h("li", {}, "There are no files of this view."));
      byId("script").textContent = script;
    } catch (fault) {
      if (!signal.aborted) byId("files").replaceChildren(h("li", {}, said(fault)));
    }
  });
  for (const [copy, select] of [["copy-link", () => byId("link").select()], ["copy-script", () => getSelection().selectAllChildren(byId("script"))]]) {
    byId(copy).addEventListener("click", ({ target }) => {
      select(); // the clipboard's own interface is there on https and on this machine alone
      target.textContent = document.execCommand("copy") ? "Copied" : "Selected";
      setTimeout(() => { target.textContent = "Copy"; }, 1500);
    });
  }
}

function png() {
  const made = button("The figure (PNG)", async () => {
    const picture = new Image();
    picture.src = file("figure.svg");
    await picture.decode();
    const canvas = h("canvas", { width: Math.round(picture.width * DPI), height: Math.round(picture.height * DPI) });
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    const href = URL.createObjectURL(await new Promise((done) => canvas.toBlob(done)));
    h("a", { href, download: "headscope-figure.png" }).click();
    setTimeout(() => URL.revokeObjectURL(href), 10_000);
  }, { id: "png" });
  return h("span", {}, " · ", made);
}
