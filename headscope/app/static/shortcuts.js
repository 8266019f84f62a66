// Single keys: each presses what the pointer could press, so a key never does what the page does not show.
import { byId } from "./dom.js";
import { keep, kept } from "./state.js";

/** Presses the choice of a control that is `by` places from the one that stands; at its end it begins again if `round`. */
function step(name, by, round = true) {
  const slider = document.querySelector(`[type=range][name=${name}]`);
  if (slider) {
    slider.value = Number(slider.value) + by;
    return slider.dispatchEvent(new Event("change", { bubbles: true }));
  }
  const all = [...document.querySelectorAll(`input[name=${name}]:enabled`)].filter((one) => !one.closest("[data-control]").hidden);
  const to = all.findIndex((one) => one.checked) + by;
  const next = round ? all[(to + all.length) % all.length] : all[to];
  next?.closest("#advanced")?.setAttribute("open", "");
  next?.click();
}

/** Presses the token that is `by` places from the selected one. */
function along(by) {
  const all = [...byId("tokens").children];
  all[all.findIndex((one) => one.tabIndex === 0) + by]?.click();
}

const KEYS = {
  t: () => { byId("text").focus(); byId("text").select(); },
  ArrowLeft: () => along(-1),
  ArrowRight: () => along(1),
  ArrowUp: () => step("layer", -1, false),
  ArrowDown: () => step("layer", 1, false),
  h: () => step("head", 1),
  H: () => step("head", -1),
  r: () => step("reference", 1),
  m: () => step("metric", 1),
  c: () => step("compare", 1),
  s: () => byId("take").togglePopover(),
  "\\": () => byId("fold").click(),
  "?": () => byId("keys").togglePopover(),
};

/** Where a key means something else: it is written, chooses, scrolls, or belongs to a sheet. */
const ELSEWHERE = "input, textarea, select, [contenteditable], .scroll, dialog";

/** Listens for single keys, as long as the reader has not switched them off. */
export function bindShortcuts() {
  const on = byId("keys-on");
  on.checked = kept("keys") !== "off";
  on.addEventListener("change", () => keep("keys", on.checked ? "on" : "off"));
  addEventListener("keydown", (event) => {
    if (event.target.id === "text" && event.key === "Escape") event.target.blur();
    if (!on.checked || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.(ELSEWHERE) && !event.target.closest("[type=radio], [type=checkbox]")) return;
    if (event.target.closest?.("[type=radio]") && event.key.startsWith("Arrow")) return;
    const view = /^[1-9]$/.test(event.key) && document.querySelectorAll("[name=view]")[event.key - 1];
    const act = view ? () => view.click() : KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}
