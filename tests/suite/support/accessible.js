// What WCAG 2.2 AA asks for and a program can see: names, labels, language, headings, sizes, contrast, reflow.
const findings = [];
const visible = (one) => one.checkVisibility() && one.getClientRects().length > 0;
const all = (selector) => [...document.querySelectorAll(selector)].filter(visible);
const say = (one) => one.outerHTML.slice(0, 120);

if (!["en", "es"].includes(document.documentElement.lang)) findings.push("the page has no language");
if (!document.title.trim()) findings.push("the page has no title");
if (all("h1").length !== 1) findings.push(`${all("h1").length} headings of the first level are shown`);
if (all("main").length !== 1) findings.push("there is no main part");
const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
for (const id of ids) if (ids.filter((other) => other === id).length > 1) findings.push(`the id ${id} stands there twice`);
for (const field of all("input, textarea, select")) {
  if (!field.labels?.length) findings.push(`no label: ${say(field)}`);
  for (const id of (field.getAttribute("aria-describedby") ?? "").split(" ").filter(Boolean)) {
    if (!document.getElementById(id)) findings.push(`nothing describes: ${say(field)}`);
  }
}
for (const one of all("button, a, input, textarea")) {
  // Neither read out nor reached by a key, such as the button that the Enter key presses.
  if (one.matches('[aria-hidden="true"][tabindex="-1"]')) continue;
  if (one.matches("button, a") && !one.innerText.trim()) findings.push(`no name: ${say(one)}`);
  // The label around a radio button or a checkbox is part of the target.
  const target = one.matches('[type="radio"], [type="checkbox"]') ? one.closest("label") ?? one : one;
  const { height } = target.getBoundingClientRect();
  // A link within a sentence or a cell of a table is as high as its line.
  const inline = one.matches(`p > a:not(.button), td a:not(.button), th a:not(.button), [data-page^="docs"] article a`);
  if (!inline && height < 44) findings.push(`only ${height} px high: ${say(one)}`);
}
if (document.documentElement.scrollWidth > innerWidth + 1) findings.push("one has to scroll sideways");

// Contrast (WCAG 2.2, 1.4.3), of all text against what is painted below it.
const rgb = (text) => (text.match(/[\d.]+/g) ?? []).map(Number);
const light = (color) => {
  const [r, g, b] = color.slice(0, 3).map((part) => part / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (one) => {
  for (let at = one; at; at = at.parentElement) {
    const color = rgb(getComputedStyle(at).backgroundColor);
    if (color.length === 3 || color[3] === 1) return color;
  }
  return [255, 255, 255];
};
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const one = texts.currentNode.parentElement;
  if (!texts.currentNode.data.trim() || !visible(one) || one.matches("script, style")) continue;
  // Text of a drawing is painted with its fill.
  const paint = one.closest("svg") ? getComputedStyle(one).fill : getComputedStyle(one).color;
  const [a, b] = [light(rgb(paint)), light(ground(one))].sort((x, y) => y - x);
  const contrast = (a + 0.05) / (b + 0.05);
  if (contrast < 4.5) findings.push(`contrast ${contrast.toFixed(2)}: ${texts.currentNode.data.trim()}`);
}
return findings;
