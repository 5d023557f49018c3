// Lanes of a station's health: what is pointed at or focused is told in the line below.
(function () {
  "use strict";
  function tell(event) {
    const part = event.target.closest && event.target.closest("[data-tell]");
    const line = part && part.closest("[data-lanes]").querySelector("[data-lane-tell]");
    if (line) { line.textContent = part.dataset.tell; line.classList.add("told"); }
  }
  document.addEventListener("mouseover", tell);
  document.addEventListener("focusin", tell);
}());
