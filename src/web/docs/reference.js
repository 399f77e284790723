// Draws one tag of the OpenAPI document with Redoc. A page of all operations would take many seconds.
const { nonce, dataset } = document.currentScript;
const place = document.getElementById("reference");

const dark = {
  colors: {
    primary: { main: "#8fd3df" },
    success: { main: "#7bd88f" },
    warning: { main: "#f0c674" },
    error: { main: "#ffb4a8" },
    text: { primary: "#eef3f4", secondary: "#b4c2c6" },
    border: { dark: "#37464c", light: "#1b2429" },
    responses: {
      success: { color: "#7bd88f", backgroundColor: "#16281b", tabTextColor: "#7bd88f" },
      error: { color: "#ffb4a8", backgroundColor: "#3b1c18", tabTextColor: "#ffb4a8" },
      redirect: { color: "#f0c674", backgroundColor: "#2e2717", tabTextColor: "#f0c674" },
      info: { color: "#8fd3df", backgroundColor: "#1f3439", tabTextColor: "#8fd3df" },
    },
  },
  schema: { linesColor: "#4b5a60", typeNameColor: "#b4c2c6", typeTitleColor: "#b4c2c6", requireLabelColor: "#ffb4a8", nestedBackground: "#1b2429" },
  typography: { code: { color: "#ffd0a8", backgroundColor: "#1b2429" }, links: { color: "#8fd3df", visited: "#8fd3df", hover: "#b8e6ee" } },
  sidebar: { backgroundColor: "#1b2429", textColor: "#eef3f4", activeTextColor: "#8fd3df" },
  rightPanel: {
    backgroundColor: "#0b1012",
    textColor: "#eef3f4",
    servers: { overlay: { backgroundColor: "#1b2429", textColor: "#eef3f4" }, url: { backgroundColor: "#11181b" } },
  },
  codeBlock: { backgroundColor: "#1b2429" },
};
const light = {
  colors: { primary: { main: "#0b5563" }, text: { primary: "#1b2429", secondary: "#4b5a60" } },
  typography: { links: { color: "#0b5563", visited: "#0b5563" } },
  sidebar: { backgroundColor: "#f3f6f6", textColor: "#1b2429" },
};
const fonts = { typography: { fontFamily: "inherit", headings: { fontFamily: "inherit" }, code: { fontFamily: "ui-monospace, monospace" } } };

// Theme members of both, one level of `typography` deep.
const themed = (colors) => ({ ...colors, typography: { ...fonts.typography, ...colors.typography, code: { ...fonts.typography.code, ...colors.typography?.code } } });

// Leaves the operations of one tag, and of the information its title.
const only = (whole, tag) => {
  const paths = {};
  for (const [path, item] of Object.entries(whole.paths)) {
    const own = Object.entries(item).filter(([, operation]) => operation.tags?.includes(tag));
    if (own.length > 0) paths[path] = Object.fromEntries(own);
  }
  const { description, ...info } = whole.info;
  const tags = whole.tags.filter((one) => one.name === tag);
  return { ...whole, info, paths, tags, "x-tagGroups": undefined, webhooks: undefined };
};

const darkness = matchMedia("(prefers-color-scheme: dark)");
darkness.addEventListener("change", () => location.reload());
fetch(dataset.document)
  .then((response) => response.json())
  .then((whole) => {
    const options = {
      nonce,
      theme: themed(darkness.matches ? dark : light),
      disableSearch: true,
      hideDownloadButtons: true,
      nativeScrollbars: true,
      hideHostname: true,
      expandResponses: "200,201,202",
      sortRequiredPropsFirst: true,
    };
    Redoc.init(only(whole, dataset.tag), options, place, (error) => {
      if (error) throw error;
      place.dataset.ready = "";
    });
  })
  .catch(() => {
    place.textContent = "The description cannot be shown. Please reload the page.";
  });
