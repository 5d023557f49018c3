// Live pages. The server says what changed ({"kind": "connector", "id": 7, "station_id": 3, ...}); the fragments that
// show it fetch themselves anew. The server's HTML stays the one truth, so nothing drifts and a reconnect catches up
// by fetching everything once.
//
//   <div data-live="station:3 session" hx-get=".../tiles/" hx-trigger="live" hx-swap="morph:outerHTML">
//
// A word of data-live is a kind ("session": every session) or kind:id ("station:3": all that concerns station 3).
(function () {
  "use strict";
  const { $, $$, words, announce } = window.voltyard;
  const body = document.body;
  const path = body.dataset.livePath;
  if (!path) { return; }
  // A refetched fragment must not undo what the reader did to it: opened details stay open, typed text stays typed, also
  // in a field that was left for the next one.
  window.Idiomorph.defaults.ignoreActiveValue = true;
  window.Idiomorph.defaults.callbacks.beforeNodeMorphed = (old) => !touched(old);
  window.Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) => !(name === "open" && node.tagName === "DETAILS");

  const GAP = 400; // ms between two fetches of one fragment; the last change is never dropped
  const MEMORY = 50; // s that the server remembers what changed, and a little less
  const waiting = new WeakMap();
  let socket = null;
  let tries = 0;
  let lostAt = null;
  let heard = Date.now();

  function topics() {
    const found = new Set();
    $$("[data-live]").forEach((element) => element.dataset.live.split(/\s+/).forEach((word) => word && found.add(word)));
    return Array.from(found).slice(0, 500);
  }

  function concerns(word, message) {
    const [kind, id] = word.split(":");
    if (!id) { return kind === "*" || kind === message.kind; }
    if (kind === message.kind && id === String(message.id)) { return true; }
    return id === String(message[kind + "_id"]);
  }

  // Whether the reader changed a field since the server wrote it.
  function touched(field) {
    if (field.tagName === "SELECT") {
      const given = Array.from(field.options).some((option) => option.defaultSelected);
      return Array.from(field.options).some((option, place) => option.selected !== (given ? option.defaultSelected : !field.multiple && place === 0));
    }
    if (field.type === "checkbox" || field.type === "radio") { return field.checked !== field.defaultChecked; }
    return (field.tagName === "INPUT" || field.tagName === "TEXTAREA") && field.value !== field.defaultValue;
  }

  function refresh(element) {
    const state = waiting.get(element) || { last: 0, timer: 0 };
    waiting.set(element, state);
    if (state.timer) { return; }
    const gap = Number(element.dataset.liveGap || GAP);
    const wait = Math.max(0, state.last + gap - Date.now());
    state.timer = setTimeout(function () {
      state.timer = 0;
      state.last = Date.now();
      // A refused form waits for its correction; the page as it is asked for anew would have neither error nor answers.
      if (element.isConnected && !element.querySelector("dialog[open], form .error")) { window.htmx.trigger(element, "live"); }
    }, wait);
  }

  function receive(message) {
    heard = Date.now();
    $$("[data-live]").forEach(function (element) {
      if (element.dataset.live.split(/\s+/).some((word) => word && concerns(word, message))) { refresh(element); }
    });
    document.dispatchEvent(new CustomEvent("vy:live", { detail: message }));
  }

  function show(link) {
    if (body.dataset.link === link) { return; }
    body.dataset.link = link;
    $$(".live").forEach(function (pill) {
      pill.dataset.link = link;
      pill.textContent = link === "open" ? words.live : link === "lost" ? words.lost : words.connecting;
    });
    if (link === "lost") {
      const at = new Date(lostAt).toLocaleTimeString(words.locale, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
      $$(".stale-banner span").forEach((span) => { span.textContent = words.stale.replace("{time}", at); });
      announce(words.lost);
    } else if (link === "open" && tries > 0) { announce(words.back); }
  }

  function connect() {
    const scheme = location.protocol === "https:" ? "wss://" : "ws://";
    socket = new WebSocket(scheme + location.host + path);
    socket.addEventListener("open", function () {
      const age = performance.now() / 1000; // what changed since the page was asked for, is told now
      const again = lostAt !== null || age > MEMORY;
      socket.send(JSON.stringify({ watch: topics(), age }));
      show("open");
      tries = 0;
      lostAt = null;
      heard = Date.now();
      if (again) { $$("[data-live]").forEach(refresh); }
    });
    socket.addEventListener("message", (event) => {
      const message = JSON.parse(event.data);
      heard = Date.now();
      if (message.kind !== "beat") { receive(message); }
    });
    socket.addEventListener("close", function (event) {
      if (lostAt === null) { lostAt = heard; }
      if (event.code === 4401) { location.reload(); return; } // signed out meanwhile
      tries += 1;
      if (tries > 1 || navigator.onLine === false) { show("lost"); }
      setTimeout(connect, Math.min(15000, 300 * 2 ** Math.min(tries, 6)) * (0.75 + Math.random() / 2));
    });
  }

  // The server beats every 20 s; a link that stays silent is dead although the socket does not know it yet.
  setInterval(function () {
    if (socket && socket.readyState === WebSocket.OPEN && Date.now() - heard > 50000) { socket.close(); }
  }, 5000);
  document.addEventListener("visibilitychange", function () {
    if (!document.hidden && socket && socket.readyState === WebSocket.OPEN) { $$("[data-live]").forEach(refresh); }
  });
  document.addEventListener("htmx:afterSettle", function () {
    if (socket && socket.readyState === WebSocket.OPEN) { socket.send(JSON.stringify({ watch: topics() })); }
  });

  // What changed lights up once: compare the marked values before and after a swap.
  document.addEventListener("htmx:beforeSwap", function (event) {
    const target = event.detail.target;
    if (!target) { return; }
    const seen = {};
    [target, ...$$("[data-value]", target)].forEach((element) => { if (element.id && element.dataset.value) { seen[element.id] = element.dataset.value; } });
    window.voltyard.seen = Object.assign(window.voltyard.seen || {}, seen);
  });
  document.addEventListener("htmx:afterSettle", function () {
    const seen = window.voltyard.seen || {};
    Object.keys(seen).forEach(function (id) {
      const element = document.getElementById(id);
      if (!element || element.dataset.value === seen[id]) { return; }
      element.classList.remove("changed");
      void element.offsetWidth; // restart the animation
      element.classList.add("changed");
      if (element.dataset.say) { announce(element.dataset.say); }
    });
    window.voltyard.seen = {};
  });

  body.dataset.link = "connecting";
  connect();
})();
