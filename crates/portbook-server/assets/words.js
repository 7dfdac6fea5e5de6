// How numbers, times and ports are written.

const numbers = new Intl.NumberFormat("en-GB");
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const dayOfYear = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const minute = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const second = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});

/** `14,000` */
export function count(number) {
  return numbers.format(number);
}

/** `1 app`, `14,000 apps` */
export function counted(number, noun, plural = `${noun}s`) {
  return `${count(number)} ${number === 1 ? noun : plural}`;
}

/** A share of a whole as per cent, never rounded to all or nothing. */
export function share(part, whole) {
  if (!whole || !part) return "0 %";
  const percent = (100 * part) / whole;
  if (percent < 1) return "< 1 %";
  if (percent > 99 && part < whole) return "> 99 %";
  return `${Math.round(percent)} %`;
}

/** The day, in this machine's time zone. */
export function dayOf(time) {
  return day.format(new Date(time));
}

/** The hour and minute for what is of today, else the day, with its year if that is another one. */
export function brief(time) {
  const date = new Date(time);
  const now = new Date();
  if (date.toDateString() === now.toDateString()) return minute.format(date);
  return (date.getFullYear() === now.getFullYear() ? dayOfYear : day).format(date);
}

/** To the second. */
export function exact(time) {
  return second.format(new Date(time));
}

/** How far off a moment is: `in 2 h`, `3 min ago`. */
export function distance(time, now = Date.now()) {
  const seconds = Math.round((new Date(time).getTime() - now) / 1000);
  const size = Math.abs(seconds);
  const [amount, unit] =
    size < 60 ? [size, "s"]
    : size < 3600 ? [Math.round(size / 60), "min"]
    : size < 172800 ? [Math.round(size / 3600), "h"]
    : [Math.round(size / 86400), "days"];
  return seconds < 0 ? `${amount} ${unit} ago` : `in ${amount} ${unit}`;
}

/** `backend 5001 · frontend 8001` */
export function portsInWords(ports) {
  const parts = Object.entries(ports ?? {}).map(([role, port]) => `${role} ${port}`);
  return parts.join(" · ") || "no ports";
}

/** `openai_gpt-4/app1` */
export function appKey(model, number) {
  return `${model}/app${number}`;
}
