// Small behaviours of every page. Nothing here is needed to read a page or to send a form.
(function () {
  "use strict";
  const $ = (selector, root) => (root || document).querySelector(selector);
  const $$ = (selector, root) => Array.from((root || document).querySelectorAll(selector));
  const words = JSON.parse(($("#words") || { textContent: "{}" }).textContent);
  window.voltyard = { $, $$, words };

  // Text for screen readers about what changed on the page.
  window.voltyard.announce = function (text) {
    const region = $("#announcer");
    if (region) { region.textContent = text; }
  };

  document.addEventListener("click", function (event) {
    const target = event.target.closest("[data-do], tr.link-row");
    $$("details.menu[open]").forEach((menu) => { if (!menu.contains(event.target)) { menu.open = false; } });
    if (!target) { return; }
    if (target.matches("tr.link-row")) { followRow(target, event); return; }
    const action = actions[target.dataset.do];
    if (action) { action(target, event); }
  });

  function followRow(row, event) {
    if (event.target.closest("a, button, input, label, summary") || String(window.getSelection())) { return; }
    const link = $("th a, td a", row);
    if (!link) { return; }
    if (event.metaKey || event.ctrlKey) { window.open(link.href, "_blank"); } else { link.click(); }
  }

  const actions = {
    theme() { window.voltyardTheme(); },
    open(target) { const dialog = $("#" + target.dataset.dialog); if (dialog) { dialog.showModal(); } },
    close(target) { target.closest("dialog").close(); },
    dismiss(target) { target.closest(".notice").remove(); },
    print() { window.print(); },
    async copy(target) {
      const text = target.dataset.of ? $("#" + target.dataset.of) : $("span", target.parentElement);
      if (navigator.clipboard) {
        await navigator.clipboard.writeText(text.textContent.trim());
      } else {  // not offered to pages without TLS, as on a local network
        window.getSelection().selectAllChildren(text);
        document.execCommand("copy");
      }
      const label = target.getAttribute("aria-label");
      target.setAttribute("aria-label", words.copied || "Copied");
      target.classList.add("changed");
      window.voltyard.announce(words.copied || "Copied");
      setTimeout(() => { target.setAttribute("aria-label", label); target.classList.remove("changed"); }, 1600);
    },
    reveal(target) {
      const field = $("#" + target.getAttribute("aria-controls"));
      field.type = field.type === "password" ? "text" : "password";
      target.setAttribute("aria-pressed", String(field.type === "text"));
    },
    "add-row"(target) {
      const list = $("#" + target.dataset.list);
      const template = $("template", list.parentElement);
      const copy = template.content.cloneNode(true);
      list.append(copy);
      list.lastElementChild.querySelector("input, select").focus();
    },
    "remove-row"(target) { target.closest("[data-row]").remove(); },
    "check-all"(target) {
      $$("tbody input[type=checkbox]", target.closest("table")).forEach((box) => { box.checked = target.checked; });
    },
  };

  // A click on the dark ground closes a dialog; <dialog> does the rest (Escape, focus, inertness).
  document.addEventListener("mousedown", function (event) {
    if (event.target instanceof HTMLDialogElement) {
      const box = event.target.getBoundingClientRect();
      const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
      if (!inside) { event.target.close(); }
    }
  });

  // Filters that apply at once.
  document.addEventListener("change", function (event) {
    const form = event.target.closest("form[data-auto]");
    if (form) { form.requestSubmit(); }
  });

  // A form that is on its way is not sent twice.
  document.addEventListener("submit", function (event) {
    const form = event.target;
    if (form.method !== "post" || form.hasAttribute("hx-post")) { return; }
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
    $$("[type=submit]", form).forEach((button) => button.setAttribute("aria-disabled", "true"));
  });
  window.addEventListener("pageshow", () => $$("form[data-sent]").forEach((form) => { delete form.dataset.sent; }));

  // Keys: / searches, ? shows the keys, g then a letter goes to a page.
  let pending = "";
  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey) { return; }
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key === "Escape" && typing && typing.type === "search") { typing.blur(); return; }
    if (typing || $("dialog[open]")) { return; }
    if (event.key === "/") { event.preventDefault(); focusSearch(); return; }
    if (event.key === "?") { const keys = $("#keys"); if (keys) { keys.showModal(); } return; }
    if (pending === "g") { const link = $(`[data-key="${CSS.escape(event.key)}"]`); if (link) { link.click(); } pending = ""; return; }
    pending = event.key === "g" ? "g" : "";
  });

  function focusSearch() {
    const field = $$("#search, [data-search-link]").find((element) => element.offsetParent);
    if (!field) { return; }
    if (field.id === "search") { field.focus(); field.select(); } else { field.click(); }
  }

  // "3 min ago" keeps counting while the page stays open.
  function refreshTimes() {
    const now = Date.now();
    const say = (text, count) => text.replace("%(count)s", Math.max(1, Math.round(count)));
    $$("time[data-relative]").forEach(function (element) {
      const age = (now - Date.parse(element.dateTime)) / 1000;
      const text = age < 45 ? words.now
        : age < 3570 ? say(words.minutes, age / 60)
        : age < 84600 ? say(words.hours, age / 3600)
        : say(words.days, age / 86400);
      if (element.textContent !== text) { element.textContent = text; }
    });
    $$("[data-since]").forEach(function (element) {
      const minutes = Math.max(0, Math.floor((now - Date.parse(element.dataset.since)) / 60000));
      const text = minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
      if (element.textContent !== text) { element.textContent = text; }
    });
    $$("[data-left]").forEach(function (element) {
      const minutes = Math.max(0, Math.ceil((Date.parse(element.dataset.left) - now) / 60000));
      const text = minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
      if (element.textContent !== text) { element.textContent = text; }
    });
  }
  refreshTimes();
  setInterval(refreshTimes, 15000);
  document.addEventListener("htmx:afterSwap", refreshTimes);
  window.voltyard.refreshTimes = refreshTimes;

  // Of tabs that do not fit, the open one is in sight.
  $$(".tabs [aria-current]").forEach((tab) => {
    const row = tab.parentElement;
    row.scrollLeft = tab.offsetLeft - row.offsetLeft - (row.clientWidth - tab.offsetWidth) / 2;
  });

  // A list that is searched as one types: data-find names its lines; groups without a hit are hidden.
  document.addEventListener("input", function (event) {
    const lines = event.target.dataset.find;
    if (!lines) { return; }
    const sought = event.target.value.trim().toLowerCase();
    $$(lines).forEach((line) => { line.hidden = !line.textContent.toLowerCase().includes(sought); });
    $$("[data-find-group]").forEach(function (group) {
      group.hidden = !$$(lines, group).some((line) => !line.hidden);
      if (sought && group.tagName === "DETAILS") { group.open = true; }
    });
    const none = $("[data-find-none]");
    if (none) { none.hidden = $$(lines).some((line) => !line.hidden); }
  });

  // Good news leaves by itself; bad news stays until dismissed.
  $$(".said [data-state=available]").forEach((note) => setTimeout(() => note.remove(), 6000));
  $$("dialog[data-show]").forEach((dialog) => dialog.showModal());
})();
