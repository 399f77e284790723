// Makes the booking way more convenient. Everything works without it.
const text = document.querySelector("[data-left]");
// Not the time of day, because the clock of a phone may be wrong.
const until = Date.now() + 1000 * (document.querySelector("[data-seconds]")?.dataset.seconds ?? 0);
if (text) {
  let said = "";
  const tell = () => {
    const minutes = Math.ceil((until - Date.now()) / 60000);
    const { one, many, over } = text.dataset;
    const words = minutes < 1 ? over : minutes === 1 ? one : `${minutes} ${many}`;
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
  for (const form of document.forms) delete form.dataset.sent;
});
// In a frame, the page tells the clinic's site its height (embed.js). Only sites of EMBED_ORIGINS can show it in one.
if (parent !== self) {
  let isNew = true;
  new ResizeObserver(() => {
    parent.postMessage({ legworkHeight: document.documentElement.offsetHeight, isNew }, "*");
    isNew = false;
  }).observe(document.documentElement);
}
