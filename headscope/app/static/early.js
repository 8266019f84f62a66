// What has to act before the first paint, as a classic script in the head: the colours, and no table without its text.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  // A browser may refuse storage: then a choice lasts as long as the page.
  const remember = (name) => { try { localStorage.setItem(name, root.dataset[name]); } catch { /* see above */ } };
  const remembered = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
  for (const [name, values] of [["theme", ["light", "dark"]], ["palette", ["first", "second"]]]) {
    if (values.includes(remembered(name))) root.dataset[name] = remembered(name);
  }

  // The page is shown when main.js has drawn it, or when something failed to load.
  root.classList.add("undrawn");
  addEventListener("error", () => root.classList.remove("undrawn"), true);

  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const name = () => { button.textContent = isDark() ? "Light" : "Dark"; };
    const bound = (id, next) => document.getElementById(id).addEventListener("click", () => { root.dataset[id] = next(); remember(id); name(); });
    bound("theme", () => (isDark() ? "light" : "dark"));
    bound("palette", () => (root.dataset.palette === "second" ? "first" : "second"));
    system.addEventListener("change", name);
    name();
  });
})();
