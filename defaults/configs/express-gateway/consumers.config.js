// Who may use the gateway, and for what. Nobody, until a file of the same path
// in the workspace names them, such as
//
//   users: {
//     customer: {
//       desktop: {
//         scopes: ['wms', 'wmts'],
//         credential: { type: 'basic-auth', password: '...' }
//       },
//       web: {
//         scopes: ['wmts', 'k2'],
//         credential: { type: 'jwt', keyId: '...', keySecret: '...' }
//       }
//     }
//   }
//
// Name it consumers.config.js.tpl to take passwords from the environment. A
// changed password is noticed only together with changed scopes or type.

module.exports = {
  scopes: ['wms', 'wmts', 'tms', 'wfs', 'wcs', 'k2', 's3', 'capture'],
  users: {}
}
