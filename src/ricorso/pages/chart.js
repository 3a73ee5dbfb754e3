// what the charts of every page share; Plotly comes before, the colours from page.css
const colour = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

const axis = extra => Object.assign({gridcolor: colour("line"), linecolor: colour("line"), zeroline: false,
  tickcolor: colour("line"), automargin: true}, extra);

const layout = extra => Object.assign({
  paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
  font: {color: colour("soft"), family: "system-ui, sans-serif", size: 12}, margin: {l: 48, r: 14, t: 14, b: 40},
  hoverlabel: {bgcolor: colour("raised"), bordercolor: colour("line"), font: {color: colour("ink")}},
}, extra);

const legend = extra => Object.assign({orientation: "h", font: {color: colour("ink")}}, extra);
const quiet = {responsive: true, displayModeBar: false};

// draws now, and again when the reader turns to dark or to light
function drawn(draw) {
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}
