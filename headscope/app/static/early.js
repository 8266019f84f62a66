// What has to act before the first paint, as a classic script in the head: the theme, and no table without its text.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  // A browser may refuse storage: then a choice lasts as long as the page.
  const remember = (theme) => { try { localStorage.setItem("theme", theme); } catch { /* see above */ } };
  const remembered = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  if (["light", "dark"].includes(remembered())) root.dataset.theme = remembered();

  // The page is shown when main.js has drawn it, or when something failed to load.
  root.classList.add("undrawn");
  addEventListener("error", () => root.classList.remove("undrawn"), true);

  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const name = () => { button.textContent = isDark() ? "Light theme" : "Dark theme"; };
    button.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      remember(root.dataset.theme);
      name();
    });
    system.addEventListener("change", name);
    name();
  });
})();
