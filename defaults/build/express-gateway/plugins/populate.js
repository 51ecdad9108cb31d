// Makes the gateway's scopes, users, applications and credentials what
// consumers.config.js says, whenever the gateway starts: those it does not
// name go. An application is made anew when its scopes or the kind of its
// credential have changed; a changed password or key alone is not noticed,
// because the gateway keeps no password to compare it with.
const path = require('path')

const again = 2000 // milliseconds after which a store that is away is tried again

module.exports = {
  version: '1.2.0',
  init ({ services, eventBus, logger }) {
    const consumers = require(path.join(process.env.EG_CONFIG_DIR, 'consumers.config.js'))
    const attempt = () => populate(services, consumers).catch(error => {
      logger.error(`populate: ${error.message}`)
      setTimeout(attempt, again)
    })
    eventBus.on('admin-ready', attempt)
  }
}

async function populate (services, { scopes = [], users = {} }) {
  await makeScopes(services, scopes)
  for (const user of await all(query => services.user.findAll(query), 'users')) {
    if (!users[user.username]) await services.user.remove(user.id)
  }
  for (const [name, applications] of Object.entries(users)) {
    const user = await services.user.find(name) || await services.user.insert({ username: name })
    await makeApplications(services, user, applications)
  }
  await dropScopes(services, scopes)
}

async function makeScopes (services, scopes) {
  const there = await services.credential.getAllScopes() || []
  const missing = scopes.filter(scope => !there.includes(scope))
  if (missing.length > 0) await services.credential.insertScopes(missing)
}

// Last: a scope goes when nobody has it any more.
async function dropScopes (services, scopes) {
  const unnamed = (await services.credential.getAllScopes() || []).filter(scope => !scopes.includes(scope))
  if (unnamed.length > 0) await services.credential.removeScopes(unnamed)
}

async function makeApplications (services, user, wanted) {
  const there = await services.application.getAll(user.id)
  for (const application of there) {
    if (!wanted[application.id] || !await isAs(services, application, wanted[application.id])) {
      await services.credential.removeAllCredentials(application.id)
      await services.application.remove(application.id)
    }
  }
  for (const [name, { scopes = [], credential: { type, ...details } }] of Object.entries(wanted)) {
    if (await services.application.get(name)) continue
    // Its name is its id, so that it can be logged in with, and shows in metrics.
    await services.application.insert({ id: name, name }, user.id)
    await services.credential.insertCredential(name, type, { ...details, scopes })
  }
}

// isAs tells whether an application has the credential and scopes it should.
async function isAs (services, application, { scopes = [], credential }) {
  const credentials = await services.credential.getCredentials(application.id)
  const same = list => JSON.stringify([...list].sort())
  return credentials.length === 1 && credentials[0].type === credential.type &&
    same(credentials[0].scopes || []) === same(scopes)
}

// all reads a list that comes in pages.
async function all (page, key) {
  const found = []
  let start = 0
  do {
    const { [key]: some, nextKey } = await page({ start, count: 100 })
    found.push(...some)
    start = Number(nextKey)
  } while (start)
  return found
}
