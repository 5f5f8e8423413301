// Before the first paint, so that a dark page never flashes light. Not a module: modules wait for the document.
try {
  const chosen = localStorage.getItem("waypost-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // A browser without storage follows the system.
}
