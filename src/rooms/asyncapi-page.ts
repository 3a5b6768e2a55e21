import escapeHtml from 'escape-html';
import { CLOSE_CODES, type MessageKind, type MessageKinds } from './socket-messages.js';

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
pre{background:#f5f5f5;padding:.75rem;overflow:auto;font-size:.85rem}td,th{text-align:left;padding:.25rem 1rem .25rem 0}
code{font-size:.95em}`;

/** The socket protocol for people: one page, no scripts. */
export function asyncApiPage({ client, server }: MessageKinds): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Atrium rooms</title><style>${STYLE}</style></head><body>
<h1>Atrium rooms</h1>
<p>Live rooms over WebSocket at <code>/ws</code>, or <code>/ws/{kind}/{id}</code> to join a room as the socket opens.
A frame is JSON text: <code>{"event": …, "data": …, "id"?: …}</code>. For programs:
<a href="/asyncapi.json">asyncapi.json</a>. The requests over HTTP: <a href="/docs">docs</a>.</p>
<h2>What a client sends</h2>
${client.map(section).join('\n')}
<h2>What the server sends</h2>
${server.map(section).join('\n')}
<h2>Close codes</h2>
<table><tr><th>code</th><th>meaning</th></tr>
${Object.entries(CLOSE_CODES)
  .map(([code, meaning]) => `<tr><td><code>${code}</code></td><td>${escapeHtml(meaning)}</td></tr>`)
  .join('\n')}
</table></body></html>`;
}

function section({ name, summary, data, reply }: MessageKind): string {
  const answer = reply === undefined ? '' : ` Answered by <code>${escapeHtml(reply)}</code>.`;
  return `<h3><code>${escapeHtml(name)}</code></h3>
<p>${escapeHtml(summary)}${answer}</p>
<details><summary>Schema of <code>data</code></summary><pre>${escapeHtml(JSON.stringify(data, undefined, 2))}</pre></details>`;
}
