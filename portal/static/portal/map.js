// The map of sites: an outline of countries that works without any network, or tiles where MAP_TILE_URL is set.
(function () {
  "use strict";
  const { $$ } = window.voltyard;

  function token(name) {
    const probe = document.createElement("i");
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    const colour = getComputedStyle(probe).color;
    probe.remove();
    return colour;
  }

  async function outline(map, address) {
    const world = await (await fetch(address)).json();
    const shapes = window.topojson.feature(world, world.objects.countries);
    const paint = () => ({ color: token("line-strong"), weight: 1, fillColor: token("surface"), fillOpacity: 1, interactive: false });
    const layer = window.L.geoJSON(shapes, { style: paint, interactive: false }).addTo(map);
    layer.bringToBack();
    document.documentElement.addEventListener("vy:theme", () => layer.setStyle(paint()));
  }

  function pin(site) {
    const size = site.attention ? 30 : 26;
    const icon = window.L.divIcon({ className: "pin", html: String(site.connectors), iconSize: [size, size] });
    const marker = window.L.marker([site.lat, site.lon], { icon, title: site.name, alt: `${site.name}: ${site.summary}`, keyboard: true });
    marker.on("add", () => { marker.getElement().dataset.state = site.state; });
    marker.bindTooltip(site.name, { direction: "top", offset: [0, -14] });
    const box = document.createElement("div");
    const link = document.createElement("a");
    link.href = site.url;
    link.className = "strong link";
    link.textContent = site.name;
    const text = document.createElement("div");
    text.className = "soft";
    text.textContent = site.summary;
    box.append(link, text);
    marker.bindPopup(box);
    return marker;
  }

  async function start(element) {
    const map = window.L.map(element, { attributionControl: Boolean(element.dataset.tiles), scrollWheelZoom: false, zoomSnap: 0.5, minZoom: 2, maxZoom: element.dataset.tiles ? 19 : 11, worldCopyJump: true });
    let pins = window.L.layerGroup().addTo(map);
    function place(sites) {
      pins.clearLayers();
      sites.forEach((site) => pins.addLayer(pin(site)));
    }
    const sites = await (await fetch(element.dataset.src)).json();
    if (sites.length === 1) { map.setView([sites[0].lat, sites[0].lon], element.dataset.tiles ? 14 : 6); }
    else if (sites.length) { map.fitBounds(sites.map((site) => [site.lat, site.lon]), { padding: [48, 48], maxZoom: element.dataset.tiles ? 13 : 7 }); }
    else { map.setView([51, 10], 4); }
    if (element.dataset.tiles) { window.L.tileLayer(element.dataset.tiles, { attribution: element.dataset.attribution }).addTo(map); }
    else { await outline(map, element.dataset.outline); }
    place(sites);
    element.addEventListener("focusin", () => map.scrollWheelZoom.enable());
    element.addEventListener("focusout", () => map.scrollWheelZoom.disable());
    let timer = 0;
    document.addEventListener("vy:live", function (event) {
      if (!["connector", "station"].includes(event.detail.kind) || timer) { return; }
      timer = setTimeout(async function () {
        timer = 0;
        place(await (await fetch(element.dataset.src)).json());
      }, 2000);
    });
  }

  $$("[data-map]").forEach(start);
})();
