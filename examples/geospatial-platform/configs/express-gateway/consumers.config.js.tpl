// Who may use the API, and for what. Keys sign the tokens (JWT) of an app. The name
// ends in .tpl, so variables of .env stand in it.
module.exports = {
  scopes: ['wms', 'wmts', 'tms', 'wfs', 'wcs'],
  users: {
    planners: {
      atlas: {
        scopes: ['wms', 'wmts', 'tms'],
        credential: { type: 'jwt', keyId: 'atlas', keySecret: '${ATLAS_KEY_SECRET}' }
      }
    }
  }
}
