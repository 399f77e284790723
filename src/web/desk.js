// Keeps the visits of the day in step with the other screens of the clinic. Everything works without it.
const visits = document.getElementById("visits");
// The pause after an event, in milliseconds: one change has several events, and a page asks again at most once a second.
const PAUSE = 1000;
let planned = 0;

const rowsOf = (part) => part.querySelector("tbody");
// What a row shows and does. The keys of its form are new each time.
const said = (row) => row.textContent + [...row.querySelectorAll("form")].map((form) => form.action).join(" ");

// Rows that say the same stay, so that a button that is being pressed is not replaced.
function show(fresh) {
  const [now, next] = [rowsOf(visits), rowsOf(fresh)];
  if (!now || !next) return visits.replaceChildren(...fresh.childNodes);
  const focused = document.activeElement;
  const row = focused?.closest("tr")?.id;
  const rows = [...next.children].map((one) => {
    const before = document.getElementById(one.id);
    return before && said(before) === said(one) ? before : one;
  });
  if (rows.length === now.children.length && rows.every((one, at) => one === now.children[at])) return;
  now.replaceChildren(...rows);
  if (!row) return;
  if (focused.isConnected) focused.focus();
  else {
    const again = document.getElementById(row);
    (again?.querySelector(focused.localName) ?? again?.querySelector("a"))?.focus();
  }
}

// The request parses the page: the page's policy lets no script turn text into HTML.
function renew() {
  const request = new XMLHttpRequest();
  request.open("GET", location.href);
  request.responseType = "document";
  request.addEventListener("load", () => {
    const fresh = request.response?.getElementById("visits");
    // Without a session the response is the sign-in.
    if (fresh) show(fresh);
    else location.reload();
  });
  request.send();
}

function plan() {
  if (planned || document.hidden) return;
  planned = setTimeout(() => {
    planned = 0;
    renew();
  }, PAUSE);
}

if (visits) {
  const events = new EventSource(visits.dataset.events);
  events.addEventListener("message", ({ data }) => {
    if (JSON.parse(data).location_id === visits.dataset.location) plan();
  });
  document.addEventListener("visibilitychange", plan);
  addEventListener("pagehide", () => events.close());
}
