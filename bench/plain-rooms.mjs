// Rooms by hand: a `ws` server that sends one shared buffer to every socket of the room. The envelope is Atrium's.
import { randomUUID } from 'node:crypto';
import http from 'node:http';
import { WebSocketServer } from 'ws';
import { verify } from './tokens.mjs';

const { TOKEN_SECRET, PORT } = process.env;
const rooms = new Map();
const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, clientTracking: false });

const server = http.createServer((_, response) => response.end('ok'));
server.on('upgrade', (request, socket, head) => {
  const claims = verify(TOKEN_SECRET, request.headers.authorization);
  if (!claims) return socket.destroy();
  sockets.handleUpgrade(request, socket, head, (client) => serve(client, claims));
});

function serve(client, claims) {
  client.on('error', () => undefined);
  client.on('message', (text) => {
    const { event, data, id } = JSON.parse(text);
    if (event === 'join') {
      join(client, data.room);
      client.send(JSON.stringify({ event: 'joined', data: { room: data.room }, id }));
    } else if (event === 'publish') {
      broadcast(claims.sub, data);
      client.send(JSON.stringify({ event: 'published', data: {}, id }));
    }
  });
}

function join(client, room) {
  if (!rooms.has(room)) rooms.set(room, new Set());
  const members = rooms.get(room);
  members.add(client);
  client.on('close', () => members.delete(client));
}

function broadcast(principal, { room, type, data }) {
  const event = {
    specversion: '1.0',
    id: randomUUID(),
    source: `/v1/${room}`,
    type,
    subject: room,
    time: new Date().toISOString(),
    datacontenttype: 'application/json',
    principal,
    data,
  };
  const frame = Buffer.from(JSON.stringify({ event: 'event', data: { room, event } }));
  for (const member of rooms.get(room) ?? []) member.send(frame, { binary: false });
}

server.listen(Number(PORT), '127.0.0.1', 4_096);
process.on('disconnect', () => process.exit(0));
