// Makes users with passwords of what consumers.config.js says: each of a user's programs is one, by its own name.
const path = require('path')

async function populate (services, { scopes, users }) {
  const missing = []
  for (const scope of scopes) if (!await services.credential.existsScope(scope)) missing.push(scope)
  if (missing.length > 0) await services.credential.insertScopes(missing)
  for (const [user, programs] of Object.entries(users)) {
    for (const [program, { scopes, credential: { type, ...details } }] of Object.entries(programs)) {
      if (await services.user.find(program)) continue
      const { id } = await services.user.insert({ username: program, firstname: user, lastname: program })
      await services.credential.insertCredential(id, type, { ...details, scopes })
    }
  }
}

module.exports = {
  version: '1.2.0',
  init (context) {
    const consumers = require(path.join(process.env.EG_CONFIG_DIR, 'consumers.config.js'))
    // Redis may come later than the gateway.
    const attempt = () => populate(context.services, consumers).catch(error => {
      context.logger.error(`populate: ${error.message}`)
      setTimeout(attempt, 2000)
    })
    context.eventBus.on('admin-ready', attempt)
  }
}
