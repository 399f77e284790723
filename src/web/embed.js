// For the clinic's own site, beside the frame of the booking pages: gives the frame the height of its page. The frame works without it.
{
  const service = new URL(document.currentScript.src).origin;
  addEventListener("message", ({ origin, source, data }) => {
    if (origin !== service || !Number.isFinite(data?.legworkHeight)) return;
    for (const frame of document.querySelectorAll("iframe")) {
      if (frame.contentWindow !== source) continue;
      frame.style.height = `${Math.ceil(data.legworkHeight)}px`;
      // The next page begins at its top.
      if (data.isNew && frame.getBoundingClientRect().top < 0) frame.scrollIntoView();
    }
  });
}
