// How values are said: pure. Times are seconds since 1970, as the API tells them.

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const counts = new Intl.NumberFormat("en");

/** `1234` as `1,234`. */
export function count(number) {
  return counts.format(number);
}

/** Bytes in the largest unit that fits: `1.4 MB`. */
export function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  const [unit, factor] = [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]].find(([, each]) => bytes >= each);
  return `${(bytes / factor).toFixed(1)} ${unit}`;
}

/** How long ago, in the largest unit that fits: `3 minutes ago`. Clocks that differ a little say `now`. */
export function ago(at, now) {
  const seconds = Math.max(0, Math.floor(now - at));
  const [unit, size] = UNITS.find(([, size]) => seconds >= size) ?? UNITS.at(-1);
  return relative.format(-Math.floor(seconds / size), unit);
}

/** How long, in the two largest units: `2 min 5 s`. */
export function took(start, end) {
  const seconds = Math.max(0, Math.round(end - start));
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}

const KINDS = {
  good: ["SUCCEEDED", "COMPLETED", "CHANGED"],
  busy: ["RUNNING", "STARTING", "STOPPING", "WAITING"],
  bad: ["FAILED", "ERROR", "TIMED_OUT", "TIMEOUT"],
};

/** What a status of an export, a run, a job or a crawl means: `good`, `busy`, `bad`, or `none` of these. */
export function kind(status) {
  return Object.keys(KINDS).find((each) => KINDS[each].includes(status)) ?? "none";
}

/** A run's status counts its failed actions: Glue calls a run with failures COMPLETED. */
export function runStatus(run) {
  return run.status === "COMPLETED" && run.actions?.failed > 0 ? "FAILED" : run.status;
}

/** A status as it is read: `TIMED_OUT` as `timed out`. */
export function words(status) {
  return status.toLowerCase().replaceAll("_", " ");
}
