// The policy `scopes` lets a consumer through who has every scope of the
// endpoint. The gateway itself compares scopes for some kinds of credentials
// only, and not for tokens.
module.exports = {
  version: '1.2.0',
  policies: ['scopes'],
  init (context) {
    context.registerPolicy({
      name: 'scopes',
      policy: () => async (req, res, next) => {
        try {
          const wanted = (req.egContext.apiEndpoint.scopes || []).map(scope => scope.scope || scope)
          const held = wanted.length > 0 ? await scopesOf(context.services, req.user) : []
          if (wanted.every(scope => held.includes(scope))) next()
          else res.sendStatus(401)
        } catch (error) {
          next(error)
        }
      }
    })
  }
}

// scopesOf are those of all active credentials of a consumer.
async function scopesOf (services, consumer) {
  if (!consumer || !consumer.id) return []
  const credentials = await services.credential.getCredentials(consumer.id)
  return credentials.filter(credential => credential.isActive).flatMap(credential => credential.scopes || [])
}
