// Makes a page of a form more convenient: questions appear as soon as an answer asks for them, and answers are saved while they are
// given. Everything works without it.
const form = document.getElementById("answers");
const saved = document.getElementById("saved");
const told = document.getElementById("told");

// A question that an answer on this page asks for. What is hidden is not sent, and its answer is removed.
const holds = ({ dataset: { if: field, values, below } }) =>
  new FormData(form).getAll(field).some((answer) => {
    if (values) return values.split(" ").includes(answer);
    return below && answer.trim() !== "" && Number(answer.replace(",", ".")) < Number(below);
  });
const arrange = () => {
  for (const question of form.querySelectorAll("[data-if]:not([data-left])")) {
    question.hidden = question.disabled = !holds(question);
  }
};
arrange();

if (saved) {
  let timer, running, isChanged = false, last;
  const say = (what) => { saved.textContent = what ? saved.dataset[what] : ""; };
  const tell = (notices) => {
    const text = notices.filter((one) => one.urgent).map((one) => {
      const line = document.createElement("p");
      for (const { text, number } of one.parts) {
        const part = document.createElement(number ? "a" : "span");
        part.textContent = text;
        if (number) part.href = `tel:${number}`;
        line.append(part);
      }
      return line;
    });
    const said = text.map((line) => line.textContent).join("\n");
    if (said === told.dataset.said) return;
    told.dataset.said = said;
    // Where the person looks.
    last?.closest(".question")?.after(told);
    told.replaceChildren(...text);
  };
  const save = async () => {
    clearTimeout(timer);
    // The answers go before the base, which a save changes.
    await running;
    if (!isChanged) return;
    isChanged = false;
    const body = new URLSearchParams(new FormData(form));
    body.set("autosave", "1");
    body.delete("go");
    const own = (async () => {
      try {
        const reply = await fetch(form.action, { method: "POST", body, keepalive: true });
        if (reply.status === 200 && reply.headers.get("content-type")?.startsWith("application/json")) {
          const { base, notices } = await reply.json();
          form.elements.base.value = base;
          tell(notices);
          say(isChanged ? "" : "saved");
        } else {
          say(reply.status === 409 ? "differs" : reply.status === 422 ? "" : "failed");
        }
      } catch {
        say("failed");
      }
    })();
    running = own;
    await own;
    // A save that is over must not hold the form up: a form that is sent again within its own event is not sent.
    if (running === own) running = undefined;
  };
  const later = (milliseconds) => {
    isChanged = true;
    say("");
    clearTimeout(timer);
    timer = setTimeout(save, milliseconds);
  };
  form.addEventListener("change", ({ target }) => { last = target; arrange(); later(500); });
  form.addEventListener("input", ({ target }) => { last = target; arrange(); later(2500); });
  // Before the person goes on with another device.
  document.addEventListener("visibilitychange", () => { if (document.hidden) save(); });
  // The form waits for a save that is under way, so that it does not differ from it.
  let isReady = false;
  form.addEventListener("submit", async (event) => {
    clearTimeout(timer);
    isChanged = false;
    if (isReady || !running) return;
    event.preventDefault();
    await running;
    isReady = true;
    delete form.dataset.sent;
    form.requestSubmit(event.submitter);
  });
  addEventListener("pageshow", () => { isReady = false; });
} else {
  form.addEventListener("input", arrange);
}
