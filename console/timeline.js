// Where bars lie on a timeline: pure.

const LEAST_WIDTH = 0.8;

/** The first start and the last end of spans `{started_at?, ended_at?}`; null where none has started. */
export function extent(spans, now) {
  const begun = spans.filter((span) => span.started_at !== undefined);
  if (!begun.length) return null;
  return {
    from: Math.min(...begun.map((span) => span.started_at)),
    until: Math.max(...begun.map((span) => end(span, now))),
  };
}

/**
 * Where each span lies within the extent of all, as percentages `{left, width}`. A span without an end goes on
 * until `now`, one without a start has null. Each is wide enough to be seen, and none goes beyond the end.
 */
export function place(spans, now) {
  const all = extent(spans, now);
  const percent = all && all.until > all.from ? 100 / (all.until - all.from) : 0;
  return spans.map((span) => {
    if (span.started_at === undefined) return null;
    const width = Math.max(LEAST_WIDTH, (end(span, now) - span.started_at) * percent);
    return { left: Math.min((span.started_at - all.from) * percent, 100 - width), width };
  });
}

/** When a span ended, or `now` where it goes on. */
export function end(span, now) {
  return span.ended_at ?? Math.max(now, span.started_at);
}
