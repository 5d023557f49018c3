// Runs before the first paint, so that a chosen theme never flashes. Without a choice the system decides.
(function () {
  "use strict";
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  let choice = null;
  try { choice = localStorage.getItem("theme"); } catch (error) { /* storage may be forbidden */ }
  function apply() {
    root.dataset.bsTheme = choice || (dark.matches ? "dark" : "light");
    root.dispatchEvent(new CustomEvent("vy:theme"));
  }
  dark.addEventListener("change", apply);
  window.voltyardTheme = function () {
    choice = root.dataset.bsTheme === "dark" ? "light" : "dark";
    try { localStorage.setItem("theme", choice); } catch (error) { /* the choice then lasts for this page */ }
    apply();
  };
  apply();
})();
