// The editor of a site's tree: what was typed survives a reload, arrow keys go from part to part, the drawing opens parts.
// Without it the page works as well: every button sends the form.
(function () {
  "use strict";
  const { $, $$ } = window.voltyard;
  const form = () => $("#grid-form[hx-post]");
  const place = "grid:" + window.location.pathname.replace(/(draft|import)\/$/, "");

  function stored() {
    try { return JSON.parse(window.localStorage.getItem(place)); } catch (error) { return null; }
  }
  function keep(value) {
    try {
      if (value) { window.localStorage.setItem(place, JSON.stringify(value)); } else { window.localStorage.removeItem(place); }
    } catch (error) { /* full or forbidden: the page itself still holds it */ }
  }
  function remember(sent) {
    const own = form();
    if (!own) { return; }
    keep(own.dataset.changed === "yes" || sent
      ? { text: $("[name=draft]", own).value, revision: Number(own.dataset.revision), at: Date.now(), sent: Boolean(sent) } : null);
  }

  // On opening: changes of an earlier visit that were never saved.
  function offer() {
    const own = form(), old = stored();
    if (!own) { return; }
    if (own.dataset.changed === "yes") { remember(); return; }
    const text = $("[name=draft]", own).value;
    if (!old || old.text === text || (old.sent && Number(own.dataset.revision) > old.revision)) { keep(null); return; }
    const note = $("#kept-draft");
    $("[data-kept-at]", note).textContent = new Date(old.at).toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
    note.hidden = false;
  }

  document.addEventListener("click", function (event) {
    const choice = event.target.closest("[data-kept]");
    if (choice) {
      if (choice.dataset.kept === "take") {
        $("[name=draft]", form()).value = stored().text;
        $("[name=at]", form()).value = "";
        $("[value=check]", form()).click();
      } else {
        keep(null);
        $("#kept-draft").hidden = true;
      }
      return;
    }
    const drawn = event.target.closest(".tree-drawing .part");
    const row = drawn && form() && $(`.tree-row[data-part="${CSS.escape(drawn.dataset.part)}"]`);
    if (row && row.getAttribute("aria-expanded") === "false") { row.click(); }
    if (row) { row.scrollIntoView({ block: "nearest" }); }
  });

  document.addEventListener("keydown", function (event) {
    const row = event.target.closest && event.target.closest("button.tree-row");
    if (!row || !["ArrowDown", "ArrowUp", "Home", "End"].includes(event.key)) { return; }
    const rows = $$("button.tree-row"), here = rows.indexOf(row);
    const next = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: rows.length - 1 }[event.key];
    if (rows[next]) { event.preventDefault(); rows[next].focus(); }
  });

  // live.js keeps what was typed since the page was made. What is sent now comes back with the answer: only what is
  // typed after it is newer.
  document.addEventListener("htmx:beforeRequest", function (event) {
    if (!event.target.closest("#grid-form")) { return; }
    $$("input, textarea", form()).forEach((field) => { field.defaultValue = field.value; });
    $$("option", form()).forEach((option) => { option.defaultSelected = option.selected; });
  });

  document.addEventListener("htmx:afterSettle", function () {
    const wanted = $("#grid-form [data-focus]");
    if (wanted) {
      wanted.focus();
      if (wanted.dataset.focus === "select") { wanted.select(); }
    }
    remember();
  });
  document.addEventListener("submit", function (event) {
    if (event.target === form() && !(event.submitter && event.submitter.formAction.endsWith("/draft/"))) { remember(true); }
  });
  offer();
})();
