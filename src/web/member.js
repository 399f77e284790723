// Pages of people who are signed in. Everything works without it.
// The focus goes to the list of mistakes.
document.getElementById("wrong")?.focus();
// A second press of a button does nothing while the first is under way.
for (const form of document.forms) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
}
// A page that comes back from the history asks the server again, which knows whether the session goes on.
addEventListener("pageshow", (event) => {
  for (const form of document.forms) delete form.dataset.sent;
  if (event.persisted) location.reload();
});
