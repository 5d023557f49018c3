// Charts. <figure class="chart" data-chart="{json}"> or data-chart-src="address of the same json":
//   {"x": [epoch seconds], "series": [{"label", "unit", "values", "state", "axis", "kind"}], "zone": "Europe/Berlin",
//    "bands": [{"from", "to"}]}, the last of them grey grounds, in epoch seconds. data-chart-every: seconds until it asks anew.
// Colours come from the tokens, so that a state has one colour everywhere; a table stands behind each chart in the page.
(function () {
  "use strict";
  const { $$, words } = window.voltyard;
  const live = new Map();

  function token(name) {
    const probe = document.createElement("i");
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    const colour = getComputedStyle(probe).color;
    probe.remove();
    return colour;
  }

  const number = (digits) => new Intl.NumberFormat(words.locale, { minimumFractionDigits: digits, maximumFractionDigits: digits });

  function series(data) {
    return data.series.map(function (one) {
      const colour = token(one.state || "ink-soft");
      const digits = one.digits === undefined ? 1 : one.digits;
      return {
        label: one.label,
        scale: one.axis || one.unit,
        stroke: colour,
        width: one.kind === "limit" ? 1.25 : 1.75,
        dash: one.kind === "limit" ? [6, 4] : one.kind === "dotted" ? [2, 3] : undefined,
        fill: one.kind === "area" || one.kind === "mean" ? token(`${one.state}-wash`) : undefined,
        paths: one.kind === "step" || one.kind === "limit" ? window.uPlot.paths.stepped({ align: 1 }) : one.kind === "mean" ? window.uPlot.paths.stepped({ align: -1 }) : undefined, // a mean holds since the point before
        points: { show: one.values.length < 3 },
        spanGaps: false,
        value: (plot, value) => (value === null || value === undefined ? "–" : `${number(digits).format(value)} ${one.unit}`),
      };
    });
  }

  function axes(data) {
    const grid = { stroke: token("line"), width: 1 };
    const ink = token("ink-soft");
    const font = "11px Inter, system-ui, sans-serif";
    const units = Array.from(new Set(data.series.map((one) => one.axis || one.unit)));
    const clock = new Intl.DateTimeFormat(words.locale, { hour: "2-digit", minute: "2-digit", timeZone: data.zone });
    const seconds = new Intl.DateTimeFormat(words.locale, { hour: "2-digit", minute: "2-digit", second: "2-digit", timeZone: data.zone });
    const day = new Intl.DateTimeFormat(words.locale, { day: "numeric", month: "short", timeZone: data.zone });
    const x = {
      stroke: ink, font, size: 30, space: 72, grid: { show: false }, ticks: { stroke: token("line"), size: 4 },
      values: (plot, splits, index, space, step) => splits.map((second) => (step >= 86400 ? day : step < 60 ? seconds : clock).format(new Date(second * 1000))),
    };
    return [x].concat(units.slice(0, 2).map((unit, place) => ({
      scale: unit, stroke: ink, font, size: 54, side: place ? 1 : 3,
      grid: place ? { show: false } : grid, ticks: { show: false },
      values: (plot, splits) => splits.map((value, at) => (at === splits.length - 1 ? `${value} ${unit}` : `${value}`)),
    })));
  }

  // A scale begins at zero and leaves the highest line some air: half a curve looks like a drama that is none.
  function scales(data) {
    const found = { x: { time: true } };
    data.series.forEach(function (one) {
      found[one.axis || one.unit] = one.unit === "%" ? { range: [0, 100] } : { range: (plot, low, high) => [Math.min(0, low || 0), high > 0 ? high * 1.1 : 1] };
    });
    return found;
  }

  function shade(plot, bands) {
    const { left, top, width, height } = plot.bbox;
    plot.ctx.fillStyle = token("surface-sunk");
    bands.forEach(function (band) {
      const begin = Math.max(left, plot.valToPos(band.from, "x", true));
      const end = Math.min(left + width, plot.valToPos(band.to, "x", true));
      if (end > begin) { plot.ctx.fillRect(begin, top, end - begin, height); }
    });
  }

  function draw(figure, data) {
    const old = live.get(figure);
    if (old) { old.destroy(); }
    if (!data.x.length) { return; }
    const clock = new Intl.DateTimeFormat(words.locale, { dateStyle: "medium", timeStyle: "short", timeZone: data.zone });
    const options = {
      width: figure.clientWidth, height: Number(figure.dataset.height || 260),
      cursor: { points: { size: 7 }, drag: { x: true, y: false } },
      legend: { live: true },
      scales: scales(data), axes: axes(data), hooks: { drawClear: [(plot) => shade(plot, data.bands || [])] },
      series: [{ label: words.time || "Time", value: (plot, second) => (second ? clock.format(new Date(second * 1000)) : "–") }].concat(series(data)),
    };
    live.set(figure, new window.uPlot(options, [data.x].concat(data.series.map((one) => one.values)), figure));
  }

  async function load(figure) {
    const source = figure.dataset.chartSrc;
    const data = source ? await (await fetch(source, { headers: { Accept: "application/json" } })).json() : JSON.parse(figure.dataset.chart);
    figure.chartData = data;
    draw(figure, data);
  }

  const sizes = new ResizeObserver((entries) => entries.forEach(function (entry) {
    const plot = live.get(entry.target);
    if (plot && entry.contentRect.width > 0) { plot.setSize({ width: entry.contentRect.width, height: plot.height }); }
  }));

  function start() {
    $$("[data-chart], [data-chart-src]").forEach(function (figure) {
      if (live.has(figure)) { return; }
      live.set(figure, null);
      sizes.observe(figure);
      load(figure);
      figure.addEventListener("refresh", () => load(figure));
      const every = Number(figure.dataset.chartEvery);
      if (every) { setInterval(() => { if (!document.hidden && figure.isConnected) { load(figure); } }, every * 1000); }
    });
  }

  document.documentElement.addEventListener("vy:theme", () => live.forEach((plot, figure) => figure.chartData && draw(figure, figure.chartData)));
  document.addEventListener("htmx:afterSettle", start);
  document.addEventListener("vy:live", function (event) {
    $$("[data-chart-live]").forEach(function (figure) {
      const [kind, id] = figure.dataset.chartLive.split(":");
      const message = event.detail;
      if (id === String(message[kind + "_id"]) || (kind === message.kind && id === String(message.id))) {
        clearTimeout(figure.chartTimer);
        figure.chartTimer = setTimeout(() => load(figure), 500);
      }
    });
  });
  start();
})();
