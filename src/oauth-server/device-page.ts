/** The page on which a person approves a device. All that it does, it does by the API; all that it shows is text. */
export const DEVICE_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>Connect a device</title>
<link rel="stylesheet" href="/device/page.css">
<script type="module" src="/device/page.js"></script>
</head>
<body>
<main>
<h1>Connect a device</h1>
<p id="message" role="status"></p>
<form id="sign-in" hidden>
<label>E-mail address <input name="email" type="email" autocomplete="username" required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Sign in</button>
</form>
<form id="factor" hidden>
<label>Code of your second factor <input name="code" autocomplete="one-time-code" required></label>
<button>Go on</button>
</form>
<form id="look" hidden>
<label>Code on the device <input name="userCode" autocomplete="off" autocapitalize="characters" required></label>
<button>Continue</button>
</form>
<form id="decide" hidden>
<p>Approve this only if you started it yourself, and the device shows this very code.</p>
<dl>
<dt>Code</dt><dd id="code"></dd>
<dt>Device</dt><dd id="device"></dd>
<dt>Asked from</dt><dd id="address"></dd>
<dt>May then</dt><dd id="scopes"></dd>
</dl>
<label>Workspace <select name="workspaceId" required></select></label>
<button name="approve">Approve</button>
<button name="deny" type="button">Deny</button>
</form>
<noscript><p>This page needs JavaScript.</p></noscript>
</main>
</body>
</html>
`;

export const DEVICE_STYLE = `:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { margin: 0; display: grid; place-items: center; min-height: 100vh; }
main { width: min(26rem, 92vw); }
form { display: grid; gap: 0.75rem; }
form[hidden] { display: none; }
label { display: grid; gap: 0.25rem; }
input, select, button { font: inherit; padding: 0.5rem; }
dt { font-weight: 600; }
dd { margin: 0 0 0.5rem; overflow-wrap: anywhere; }
`;

export const DEVICE_SCRIPT = `const byId = (id) => document.getElementById(id);
const forms = ['sign-in', 'factor', 'look', 'decide'];
let accessToken;
let mfaToken;
let userCode = new URLSearchParams(location.search).get('user_code') ?? '';

const show = (id, message = '') => {
  for (const form of forms) byId(form).hidden = form !== id;
  byId('message').textContent = message;
};

async function call(method, path, body, headers = {}) {
  const response = await fetch(path, {
    method,
    credentials: 'same-origin',
    headers: {
      ...(body && { 'Content-Type': 'application/json' }),
      ...(accessToken && { Authorization: 'Bearer ' + accessToken }),
      ...headers,
    },
    body: body && JSON.stringify(body),
  });
  const text = await response.text();
  const answer = text ? JSON.parse(text) : {};
  if (!response.ok) throw new Error(answer.detail ?? 'Something went wrong.');
  return answer;
}

async function start() {
  const csrf = /(?:^|; )(?:__Host-)?atrium-csrf=([^;]+)/.exec(document.cookie)?.[1];
  if (csrf) {
    try {
      ({ accessToken } = await call('POST', '/v1/auth/refresh', undefined, { 'X-CSRF-Token': csrf }));
      return ask();
    } catch {}
  }
  show('sign-in', 'Sign in to connect a device.');
}

function ask(message = '') {
  byId('look').userCode.value = userCode;
  show('look', message);
}

function signedIn(answer) {
  if (answer.mfaRequired) {
    mfaToken = answer.mfaToken;
    return show('factor', 'One more proof is needed.');
  }
  accessToken = answer.accessToken;
  ask();
}

const on = (id, act) => byId(id).addEventListener('submit', async (event) => {
  event.preventDefault();
  try {
    await act(byId(id));
  } catch (error) {
    byId('message').textContent = error.message;
  }
});

on('sign-in', async (form) =>
  signedIn(await call('POST', '/v1/auth/login', {
    email: form.email.value, password: form.password.value, transport: 'cookie',
  })));

on('factor', async (form) =>
  signedIn(await call('POST', '/v1/auth/mfa/verify', { mfaToken, code: form.code.value, transport: 'cookie' })));

const path = (action = '') => '/v1/devices/' + encodeURIComponent(userCode) + action;

on('look', async (form) => {
  userCode = form.userCode.value;
  const device = await call('GET', path());
  const { data } = await call('GET', '/v1/workspaces?limit=100');
  const managed = data.filter(({ role }) => role === 'owner' || role === 'admin');
  byId('code').textContent = device.userCode;
  byId('device').textContent = device.name + ' (' + device.kind + ')';
  byId('address').textContent = device.address;
  byId('scopes').textContent = device.scopes.join(', ') || 'nothing yet';
  byId('decide').workspaceId.replaceChildren(...managed.map(({ id, name }) => new Option(name, id)));
  show('decide');
});

on('decide', async (form) => {
  const agent = await call('POST', path('/approve'), { workspaceId: form.workspaceId.value });
  show(undefined, agent.name + ' is connected. You can close this page.');
});

byId('decide').deny.addEventListener('click', async () => {
  try {
    await call('POST', path('/deny'));
    show(undefined, 'The device was refused. You can close this page.');
  } catch (error) {
    byId('message').textContent = error.message;
  }
});

await start();
`;
