// Finds patients while the desk types. Everything works without it. The words are in the body of the request, never in an address.
const field = document.getElementById("q");
// The pause after a key, in milliseconds, and the fewest characters that are searched for.
const PAUSE = 300;
const LEAST = 2;
let planned = 0;
let request;

// The request parses the page: the page's policy lets no script turn text into HTML.
function find() {
  request = new XMLHttpRequest();
  request.open("POST", field.form.action);
  request.responseType = "document";
  request.addEventListener("load", ({ target }) => {
    // Without a session the response is another page: the button says so.
    for (const id of ["count", "found"]) {
      const fresh = target.response?.getElementById(id);
      if (fresh) document.getElementById(id).replaceChildren(...fresh.childNodes);
    }
  });
  request.send(new URLSearchParams(new FormData(field.form)));
}

field.addEventListener("input", () => {
  clearTimeout(planned);
  request?.abort();
  if (field.value.trim().length >= LEAST) planned = setTimeout(find, PAUSE);
});
