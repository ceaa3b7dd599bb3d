// The explorer follows the admin's theme choice, or the system's. Swagger UI knows one class for it.
"use strict";
{
    const chosen = localStorage.getItem("theme");
    const dark = chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
    document.documentElement.classList.toggle("dark-mode", dark);
}
