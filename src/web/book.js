// Makes the booking way more convenient. Everything works without it.
const text = document.querySelector("[data-left]");
const end = document.querySelector("[data-seconds]");
const secret = document.querySelector("[name=hold_secret]")?.value;
// The held time that this tab remembers. A frame on another site may not remember anything.
const HELD = "legwork-held";
const remembered = () => {
  try {
    return JSON.parse(sessionStorage.getItem(HELD));
  } catch {
    return null;
  }
};
const remember = (held) => {
  try {
    sessionStorage.setItem(HELD, JSON.stringify(held));
  } catch {}
};
// Not the time of day, because the clock of a phone may be wrong. A page that comes back from the history has its old seconds.
const key = `${secret} ${end?.textContent}`;
const before = remembered();
const until = before?.key === key ? before.until : Date.now() + 1000 * (end?.dataset.seconds ?? 0);
// A registration carries the time now, so it does not end with the next choice.
if (document.querySelector("[data-sent]")) remember(null);
else if (secret) remember({ secret, key, until });
if (text) {
  let said = "";
  const tell = () => {
    const minutes = Math.ceil((until - Date.now()) / 60000);
    const { one, many, over } = text.dataset;
    const words = minutes < 1 ? over : minutes === 1 ? one : many.replace("#", minutes);
    if (words !== said) text.textContent = ` ${(said = words)}`;
    if (minutes >= 1) setTimeout(tell, 1000);
  };
  tell();
}
// The focus goes to the list of mistakes.
document.getElementById("wrong")?.focus();
// A second press of a button does nothing while the first is under way. A page that comes back from the history works again.
for (const form of document.forms) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
}
addEventListener("pageshow", () => {
  const held = remembered();
  for (const form of document.forms) {
    delete form.dataset.sent;
    if (!held || !form.action.split("?")[0].endsWith("/holds")) continue;
    // Whoever goes back and chooses another time gives up the first one. Otherwise it would take the times beside it.
    const field = form.elements.hold_secret ?? form.appendChild(document.createElement("input"));
    Object.assign(field, { type: "hidden", name: "hold_secret", value: held.secret });
    // The same button is a new choice.
    const key = form.elements.form_key;
    form.dataset.key ??= key.value;
    key.value = `${form.dataset.key}.${Date.now()}`;
  }
});
// In a frame, the page tells the clinic's site its height (embed.js). Only sites of EMBED_ORIGINS can show it in one.
if (parent !== self) {
  let isNew = true;
  new ResizeObserver(() => {
    parent.postMessage({ legworkHeight: document.documentElement.offsetHeight, isNew }, "*");
    isNew = false;
  }).observe(document.documentElement);
}
